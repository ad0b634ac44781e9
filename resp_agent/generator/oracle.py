"""The upper bound: the simulator of the embedded corpus answers requests itself."""

from dataclasses import asdict, replace

from resp_agent.corpus.narrative.template import narrative
from resp_agent.corpus.schema import Recording
from resp_agent.curriculum.request import Request
from resp_agent.diagnoser.learner import Checkpoint
from resp_agent.errors import UserError
from resp_agent.generator.synthesizer import clip_of, refuse_hardness
from resp_agent.generator.training import generator_fingerprint
from resp_agent.randomness import stream
from resp_agent.settings import Settings
from resp_agent.simulation import DEVICES, LABELS, simulate


class OracleGenerator:
    """New recordings from the same simulator, from streams that the corpus does not use."""

    def __init__(self, settings: Settings, train: list[Recording]):
        self._settings = settings
        self.fingerprint = generator_fingerprint(settings, train)

    def listen(self, diagnoser: Checkpoint) -> None:
        """See `Generator.listen`: refused."""
        refuse_hardness("the oracle")

    def synthesize(self, request: Request) -> list[Recording]:
        """See `Generator.synthesize`."""
        if request.hardness > 0:
            refuse_hardness("the oracle")
        for kind, name, known in (("label", request.label, LABELS), ("style", request.style, DEVICES)):
            if name not in known:
                raise UserError(f"the embedded corpus has no {kind} {name!r}: choose one of {', '.join(known)}")
        return [self._make(request, index) for index in range(request.count)]

    def _make(self, request: Request, index: int) -> Recording:
        rng = stream(request.seed, "clip", index, "oracle")
        drawn = simulate(request.label, request.style, rng, request.seconds(self._settings.audio))
        patient = asdict(drawn.patient)
        clip = clip_of(
            request, self.fingerprint, index, drawn.waveform, *2 * (_told(request, drawn, patient),), drawn.events
        )
        return replace(clip, normal_breaths=drawn.normal_breaths, narrative=narrative(clip.id, **patient))


def _told(request: Request, drawn, patient: dict) -> Recording:
    """The drawn patient and device as the recording that a clip takes its metadata from."""
    return Recording(
        id="",
        source="",
        patient_id="",
        label=request.label,
        source_label=request.label,
        style=request.style,
        waveform=drawn.waveform,
        original_sample_rate_hz=drawn.original_sample_rate_hz,
        narrative="",
        split="train",
        device=request.style,
        **patient,
    )
