"""Replicas of the generator: clips of a request are made as one batch."""

import asyncio
import base64
import io
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from ray import serve

from actors.serving.served import Studio
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.schema import SAMPLE_RATE_HZ, Recording, decode_flac, encode_flac, to_pcm
from resp_agent.curriculum.request import Request
from resp_agent.diagnoser.learner import Checkpoint
from resp_agent.errors import UserError
from resp_agent.generator.style_reference import in_style_of
from resp_agent.generator.synthesizer import PlannedGenerator, make_generator
from resp_agent.randomness import stream
from resp_agent.settings import from_plain
from resp_agent.threads import set_threads

WAIT_S = 0.01
QUEUED = 8
"""Requests that a replica takes over at once."""
PROBE_CLIP_S, PROBE_TOLERANCE = 0.5, 1e-3
HEARD_S = 15.0
"""Seconds of a training recording that are sent to be heard."""


@dataclass(frozen=True)
class Asked:
    """What clips are asked for."""

    label: str
    style: str | None
    count: int
    seed: int
    seconds: float | None = None
    reference: bytes | None = None
    """FLAC of a recording in whose style they are to be; None: `style` names it."""


class GeneratorReplica:
    """Holds a generator. The same request gives the same clips, whichever replica makes them."""

    def __init__(self, studio: Studio, real: bool = False):
        self._settings = from_plain(studio.settings)
        set_threads(self._settings.threads)
        self._train = Corpus.open(Path(studio.corpus)).split("train")
        self._generator = make_generator(self._settings, self._train, Path(studio.folder))
        if studio.refreshed:
            self._generator.use(Checkpoint(**studio.refreshed))
        self._labels, self._styles = ({getattr(one, name) for one in self._train} for name in ("label", "style"))
        self._simulated, self._real = studio.simulated, real
        self._worker = ThreadPoolExecutor(1, "generator")
        self._probe = self._probed()

    async def synthesize(self, asked: Asked, coding: str) -> dict:
        """`clips` and `fingerprint` as of `schema.Synthesis`, or `{"reason": sentence}`."""
        made = await self._batched(asked)
        if isinstance(made, str):
            return {"reason": made}
        clips = [_clip(clip, asked, index, coding) for index, clip in enumerate(made)]
        return {"clips": clips, "fingerprint": self._generator.fingerprint}

    def recording(self, label: str, style: str | None) -> dict:
        """A training recording as `schema.Heard`, or `{"reason": sentence}`; in the style where there is one."""
        if not (self._simulated or self._real):
            return {"reason": "recordings of patients are not shared: the operator may allow it"}
        same = [one for one in self._train if one.label == label]
        if not same:
            return {"reason": "no training recording has that label: choose one of /v1/labels"}
        chosen = random.Random(len(same)).choice([one for one in same if one.style == style] or same)
        heard = chosen.waveform[: round(HEARD_S * SAMPLE_RATE_HZ)]
        return {
            "kind": "simulated" if self._simulated else "real",
            "label": chosen.label,
            "style": chosen.style,
            "seconds": len(heard) / SAMPLE_RATE_HZ,
            "audio": base64.b64encode(encode_flac(heard)).decode(),
            "events": [vars(event) for event in chosen.events if event.end_s <= HEARD_S],
        }

    def describe(self) -> dict:
        """What the model card says of the generator."""
        return {"generator_fingerprint": self._generator.fingerprint}

    async def check_health(self) -> None:
        """Raises RuntimeError where the generator does not make of a fixed request what it made at first."""
        found = await asyncio.get_running_loop().run_in_executor(self._worker, self._probed)
        if not np.allclose(found, self._probe, atol=PROBE_TOLERANCE, rtol=0):
            raise RuntimeError("the generator makes another clip of a fixed request than when it was loaded")

    @serve.batch(max_batch_size=QUEUED, batch_wait_timeout_s=WAIT_S)
    async def _batched(self, asked: list[Asked]) -> list[list[Recording] | str]:
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._made, asked)

    def _made(self, asked: list[Asked]) -> list[list[Recording] | str]:
        """Clips of each, or the reason why not. What several ask for alike is made once."""
        made: dict[Asked, list[Recording] | str] = {}
        for one in asked:
            if one not in made:
                try:
                    made[one] = self._clips(one)
                except UserError as problem:
                    made[one] = str(problem)
        return [made[one] for one in asked]

    def _clips(self, asked: Asked) -> list[Recording]:
        generator, style = self._generator, asked.style
        # What was sent is not repeated: it may be anything.
        if asked.label not in self._labels:
            raise UserError("no training recording has that label: choose one of /v1/labels")
        if style is not None and style not in self._styles:
            raise UserError("no training recording has that style: choose one of /v1/styles, or send style_reference")
        if asked.reference is not None:
            if not isinstance(generator, PlannedGenerator):
                raise UserError("this generator takes no style reference: name one of /v1/styles")
            generator, style = in_style_of(generator, decode_flac(asked.reference))
        content = self._settings.generator.content
        return generator.synthesize(Request(asked.label, style, asked.count, asked.seed, content, 0.0, asked.seconds))

    def _probed(self) -> np.ndarray:
        one = self._train[0]
        seed = int(stream("serving", "probe").integers(2**32))
        request = Request(one.label, one.style, 1, seed, self._settings.generator.content, 0.0, PROBE_CLIP_S)
        return self._generator.synthesize(request)[0].waveform


def _clip(clip: Recording, asked: Asked, index: int, coding: str) -> dict:
    return {
        "id": clip.id,
        "label": clip.label,
        "style": clip.style,
        "seed": asked.seed,
        "index": index,
        "seconds": clip.duration_s,
        "format": coding,
        "audio": base64.b64encode(_encoded(clip.waveform, coding)).decode(),
        "events": [vars(event) for event in clip.events],
    }


def _encoded(waveform: np.ndarray, coding: str) -> bytes:
    if coding == "flac":
        return encode_flac(waveform)
    buffer = io.BytesIO()
    soundfile.write(buffer, to_pcm(waveform), SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
    return buffer.getvalue()
