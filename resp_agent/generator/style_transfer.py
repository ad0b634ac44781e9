"""The control: real recordings, equalised to another style by per-band mean and deviation. No model."""

import numpy as np

from resp_agent.corpus.schema import Recording
from resp_agent.curriculum.request import Request
from resp_agent.diagnoser.learner import Checkpoint
from resp_agent.generator.material import Material
from resp_agent.generator.style import denormalise
from resp_agent.generator.synthesizer import clip_of, refuse_hardness, with_invented_patients
from resp_agent.generator.training import generator_fingerprint
from resp_agent.generator.vocoding import make_vocoder
from resp_agent.randomness import stream
from resp_agent.settings import Settings


class StyleTransferGenerator:
    """What a generator must beat to be worth its training."""

    def __init__(self, settings: Settings, train: list[Recording]):
        self._settings = settings
        self._material = Material.of(train, settings.audio)
        self._vocoder = make_vocoder(settings, None)
        self.fingerprint = generator_fingerprint(settings, train)

    def listen(self, diagnoser: Checkpoint) -> None:
        """See `Generator.listen`: refused."""
        refuse_hardness("style transfer")

    def synthesize(self, request: Request) -> list[Recording]:
        """See `Generator.synthesize`."""
        if request.hardness > 0:
            refuse_hardness("style transfer")
        clips = [self._make(request, index) for index in range(request.count)]
        if not self._settings.generator.composition.invent_patients:
            return clips
        return with_invented_patients(clips, range(request.count), request, self._material)

    def _make(self, request: Request, index: int) -> Recording:
        material, rng = self._material, stream(request.seed, "clip", index, "content")
        content, reference = material.pick(request.label, request.style, rng)
        normal, frames = material.normal(content), request.frames(self._settings.audio)
        start = rng.integers(max(len(normal) - frames, 0) + 1)
        moved = denormalise(normal[start : start + frames], material.bank[request.style])
        # A short recording is repeated.
        moved = np.take(moved, np.arange(frames) % len(moved), axis=0)[None]
        phases = [stream(request.seed, "clip", index, "phase")]
        waveform = self._vocoder(moved, material.bank[request.style].above, phases)[0]
        waveform = waveform[: request.samples(self._settings.audio)]
        recordings = material.recordings
        return clip_of(request, self.fingerprint, index, waveform, recordings[content], recordings[reference])
