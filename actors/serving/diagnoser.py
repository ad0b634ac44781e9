"""Replicas of the diagnoser: uploads are decoded beside each other and diagnosed together."""

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from ray import serve

from actors.serving.intake import Intake
from actors.serving.limits import Limits
from actors.serving.said import Said
from actors.serving.served import Served
from resp_agent.audio.header import Unreadable
from resp_agent.audio.intake import Taken
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.schema import SAMPLE_RATE_HZ, decode_flac
from resp_agent.diagnoser.diagnosis import Diagnoser, Diagnosis, Heard
from resp_agent.errors import UserError
from resp_agent.randomness import stream
from resp_agent.threads import set_threads
from resp_agent.training.checkpoints import digests
from resp_agent.training.engine import AVERAGED

BATCH = 16
"""Recordings that are diagnosed together, at most."""
BATCH_WAIT_S = 0.01
"""Time that a recording waits for others."""
PROBE_S, PROBE_TOLERANCE = 1.0, 1e-3
QUIET_DB, CLIPPED_SHARE, LOW_RATE_HZ = -55.0, 0.001, 4_000


class DiagnoserReplica:
    """Holds a diagnoser. Nothing that it is sent outlives the answer."""

    def __init__(self, served: Served, limits: Limits, batch: int = BATCH):
        self._diagnoser = Diagnoser(Path(served.diagnoser))
        set_threads(self._diagnoser.settings.threads)
        self._served = served
        self._fingerprint = digests(Path(served.diagnoser))[AVERAGED][:16]
        self._intake = Intake(limits.seconds)
        # One thread, so that the model does one thing at a time and the event loop is free meanwhile.
        self._worker = ThreadPoolExecutor(1, "diagnoser")
        self._batched.set_max_batch_size(batch)
        self._probe = self._probed()

    async def diagnose(self, data: bytes, said: Said, explain: bool) -> dict:
        """The fields of `schema.Diagnosis` but for the request's id; `{"reason": sentence}` where there is none."""
        try:
            taken = await asyncio.to_thread(self._intake.take, data)
        except Unreadable as problem:
            return {"reason": f"the recording cannot be used: {problem.reason}"}
        heard = self._heard(taken, said, explain)
        try:
            self._diagnoser.refuse(heard.text)
        except UserError:
            return {"reason": "this diagnoser reads text alone: say something of the patient"}
        return self._answer(taken, said, heard, await self._batched(heard))

    async def decode(self, data: bytes) -> dict:
        """An upload as `flac` (16 kHz, mono), or `{"reason": sentence}`."""
        try:
            return {"flac": (await asyncio.to_thread(self._intake.take, data)).flac}
        except Unreadable as problem:
            return {"reason": f"the style reference cannot be used: {problem.reason}"}

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
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._worker, self._probed)
        if not np.allclose(found, self._probe, atol=PROBE_TOLERANCE, rtol=0):
            raise RuntimeError("the diagnoser answers a fixed sound otherwise than when it was loaded")

    async def ready(self) -> bool:
        """Whether the model answers."""
        await self.check_health()
        return True

    @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=BATCH_WAIT_S)
    async def _batched(self, heard: list[Heard]) -> list[Diagnosis]:
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._diagnoser.together, heard)

    def _probed(self) -> list[float]:
        sound = 0.1 * stream("serving", "probe").standard_normal(round(PROBE_S * SAMPLE_RATE_HZ)).astype(np.float32)
        text = None if self._diagnoser.hears else "A patient is examined."
        found = self._diagnoser.together([Heard("probe", sound, text, explain=False)])[0]
        return list(found.probabilities.values())

    def _heard(self, taken: Taken, said: Said, explain: bool) -> Heard:
        text = said.text(taken.id, self._diagnoser.inputs.text) if self._diagnoser.reads else None
        return Heard(taken.id, decode_flac(taken.flac), text, explain)

    def _answer(self, taken: Taken, said: Said, heard: Heard, found: Diagnosis) -> dict:
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
            "warnings": list(self._warnings(taken, said, heard)),
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
