"""Replicas of the diagnoser: what an ingress has gathered is diagnosed together."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from actors.serving.said import Said
from actors.serving.served import Served
from resp_agent.audio.intake import Taken
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.schema import SAMPLE_RATE_HZ, decode_flac
from resp_agent.diagnoser.diagnosis import Diagnoser, Diagnosis, Heard
from resp_agent.errors import UserError
from resp_agent.randomness import stream
from resp_agent.threads import set_threads
from resp_agent.training.checkpoints import digests
from resp_agent.training.engine import AVERAGED

PROBE_S, PROBE_TOLERANCE = 1.0, 1e-3
QUIET_DB, CLIPPED_SHARE, LOW_RATE_HZ = -55.0, 0.001, 4_000


@dataclass(frozen=True)
class Case:
    """What a diagnosis is asked for: a decoded recording, and what was said of its patient."""

    taken: Taken
    said: Said
    explain: bool = True
    """Whether to say where in audio and text the diagnosis comes from."""


class DiagnoserReplica:
    """Holds a diagnoser. Nothing that it is sent outlives the answer."""

    def __init__(self, served: Served):
        self._diagnoser = Diagnoser(Path(served.diagnoser))
        set_threads(self._diagnoser.settings.threads)
        self._served = served
        self._fingerprint = digests(Path(served.diagnoser))[AVERAGED][:16]
        # One thread, so that the model does one thing at a time and the event loop is free meanwhile.
        self._worker = ThreadPoolExecutor(1, "diagnoser")
        self._probe = self._probed()

    async def diagnose(self, cases: Sequence[Case]) -> list[dict]:
        """Of each the fields of `schema.Diagnosis` but for the request's id; `{"reason": sentence}` where there are
        none."""
        return await self._worked(self._together, cases)

    def describe(self) -> dict:
        """What the model card says of the diagnoser."""
        inputs = self._diagnoser.inputs
        styles: dict[str, int | None] = dict.fromkeys(inputs.styles)
        if self._served.corpus:
            rows = Corpus.open(Path(self._served.corpus)).table("train", ["style"])
            styles = dict(sorted(Counter(rows.column("style").to_pylist()).items()))
        return {
            "fingerprint": self._fingerprint,
            "trained": self._served.trained,
            "training_data": {
                "recordings": sum(inputs.counts),
                "labels": dict(zip(inputs.labels, inputs.counts, strict=True)),
                "styles": styles,
            },
        }

    async def check_health(self) -> None:
        """Raises RuntimeError where the model does not say of a fixed sound what it said at first."""
        found = await self._worked(self._probed)
        if not np.allclose(found, self._probe, atol=PROBE_TOLERANCE, rtol=0):
            raise RuntimeError("the diagnoser answers a fixed sound otherwise than when it was loaded")

    async def ready(self) -> bool:
        """Whether the model answers."""
        await self.check_health()
        return True

    async def _worked(self, method: Callable, *arguments):
        return await asyncio.get_running_loop().run_in_executor(self._worker, method, *arguments)

    def _probed(self) -> list[float]:
        sound = 0.1 * stream("serving", "probe").standard_normal(round(PROBE_S * SAMPLE_RATE_HZ)).astype(np.float32)
        text = None if self._diagnoser.hears else "A patient is examined."
        found = self._diagnoser.together([Heard("probe", sound, text, explain=False)])[0]
        return list(found.probabilities.values())

    def _together(self, cases: Sequence[Case]) -> list[dict]:
        heard = [self._heard(case) for case in cases]
        refused = [self._refused(one) for one in heard]
        fit = [one for one, reason in zip(heard, refused, strict=True) if reason is None]
        found = iter(self._diagnoser.together(fit) if fit else ())
        return [
            {"reason": reason} if reason else self._answer(case, one, next(found))
            for case, one, reason in zip(cases, heard, refused, strict=True)
        ]

    def _heard(self, case: Case) -> Heard:
        taken = case.taken
        text = case.said.text(taken.id, self._diagnoser.inputs.text) if self._diagnoser.reads else None
        return Heard(taken.id, decode_flac(taken.flac), text, case.explain)

    def _refused(self, heard: Heard) -> str | None:
        try:
            self._diagnoser.refuse(heard.text)
        except UserError:
            return "this diagnoser reads text alone: say something of the patient"
        return None

    def _answer(self, case: Case, heard: Heard, found: Diagnosis) -> dict:
        taken = case.taken
        ordered = sorted(found.probabilities.items(), key=lambda item: -item[1])
        moments = found.attribution
        strongest = max((change for _, change in found.words), default=0.0)
        return {
            "seconds": taken.duration_s,
            "sample_rate_hz": taken.original_sample_rate_hz,
            "label": found.label,
            "confidence": found.confidence,
            "probabilities": [{"label": label, "probability": share} for label, share in ordered],
            "narrative": heard.text,
            "relevance": moments
            and {
                "start_s": float(moments.seconds[0]),
                "step_s": float(moments.seconds[1] - moments.seconds[0]),
                "values": moments.relevance.clip(0, 1).tolist(),
            },
            "words": [
                {"word": word, "relevance": max(change, 0.0) / strongest if strongest > 0 else 0.0}
                for word, change in found.words
            ],
            "warnings": list(self._warnings(taken, case.said, heard)),
            "fingerprint": self._fingerprint,
        }

    def _warnings(self, taken: Taken, said: Said, heard: Heard):
        if taken.quality["clipped_share"] > CLIPPED_SHARE:
            yield f"{taken.quality['clipped_share']:.1%} of the samples are clipped: record at a lower level."
        if taken.quality["rms_db"] < QUIET_DB:
            yield f"The recording is very quiet ({taken.quality['rms_db']:.0f} dB of full scale)."
        if taken.original_sample_rate_hz < LOW_RATE_HZ:
            half = taken.original_sample_rate_hz / 2
            yield f"At {taken.original_sample_rate_hz} Hz nothing above {half:g} Hz was recorded."
        if not self._diagnoser.reads and (said.narrative or said.has_fields):
            yield "This diagnoser reads no text: what was said of the patient was not used."
        elif said.narrative and said.has_fields:
            yield "A narrative was given, so the other fields were not read."
        elif self._diagnoser.reads and not heard.text:
            yield "Nothing was said of the patient: the diagnosis is from audio alone."
