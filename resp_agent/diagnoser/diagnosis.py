"""A stored diagnoser at work: recordings in, diagnoses out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from resp_agent.corpus.schema import SAMPLE_RATE_HZ
from resp_agent.diagnoser.attribution import Attribution, attribute
from resp_agent.diagnoser.inputs import Example
from resp_agent.diagnoser.occlusion import word_relevance
from resp_agent.diagnoser.scoring import score, softmax
from resp_agent.diagnoser.stored import load_diagnoser, read_settings
from resp_agent.encoders import make_encoder
from resp_agent.errors import UserError
from resp_agent.threads import threads
from resp_agent.training.distributed import device


@dataclass(frozen=True)
class Heard:
    """What a diagnosis is asked of."""

    id: str
    """Of the recording."""
    waveform: np.ndarray = field(repr=False)
    """(samples,) float32 at 16 kHz."""
    text: str | None = field(default=None, repr=False)
    """What is known of the patient, in words; None: the text is withheld."""
    explain: bool = True
    """Whether to say where the diagnosis comes from, which takes several times as long as the diagnosis."""


@dataclass(frozen=True)
class Diagnosis:
    """What a diagnoser says of a recording."""

    id: str
    """Of the recording: a hash of its decoded audio."""
    duration_s: float
    windows: int
    """How many the recording was heard in."""
    probabilities: dict[str, float]
    """Of every label, calibrated on validation."""
    attribution: Attribution | None = field(repr=False)
    """Where in the audio the likeliest label comes from; None where the system takes no audio or nobody asked."""
    words: tuple[tuple[str, float], ...] = field(default=(), repr=False)
    """Words of the text, each with how far the label's logit falls without it; empty where no text is read."""

    @property
    def label(self) -> str:
        """The likeliest one."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def confidence(self) -> float:
        """Its probability."""
        return self.probabilities[self.label]

    @property
    def plain(self) -> dict:
        """Plain data, for JSON."""
        found = self.attribution
        return {
            "id": self.id,
            "duration_s": self.duration_s,
            "windows": self.windows,
            "label": self.label,
            "confidence": self.confidence,
            "probabilities": self.probabilities,
            "attribution": found
            and {
                "edges_s": found.seconds.round(4).tolist(),
                "logit_change": found.values.tolist(),
                "logit": found.logit,
                "baseline_logit": found.baseline,
                "moments": [{"start_s": a, "end_s": b, "relevance": value} for a, b, value in found.moments()],
            },
        }


class Diagnoser:
    """A stored diagnoser with its encoder, ready for recordings of any length."""

    def __init__(self, folder: Path, text: str | None = None):
        """`text` is read with every recording, as its narrative; without it the text is withheld.

        Raises:
            UserError: there is no diagnoser in the folder, or it cannot read what it is given.
        """
        self.settings = read_settings(folder)
        model, self.inputs, self.temperature = load_diagnoser(folder, self.settings)
        self.hears, self.reads = model.hears, model.reads
        self._model = model.to(device())
        self._encoder = make_encoder(self.settings.diagnoser.encoder, self.settings.audio)
        self._text = text or None
        self.refuse(self._text)

    def refuse(self, text: str | None) -> None:
        """Raises UserError where the system reads no text and there is one, or reads text alone and there is none."""
        if text and not self.reads:
            raise UserError(f"the system {self.settings.diagnoser.system!r} reads no text: leave out --text")
        if not text and not self.hears:
            raise UserError(f"the system {self.settings.diagnoser.system!r} reads text alone: give --text")

    def __call__(self, recording: str, waveform: np.ndarray) -> Diagnosis:
        """The diagnosis of (samples,) audio at 16 kHz by its id; windows cover the whole of it and are pooled."""
        return self.together([Heard(recording, waveform, self._text)])[0]

    def together(self, heard: Sequence[Heard]) -> list[Diagnosis]:
        """Diagnoses in the order of what was heard, scored in one batch. None depends on the others beyond rounding."""
        with threads(self.settings.threads):
            encoded = self._encoder.encode([one.waveform for one in heard])
            examples = [self._example(one, frames) for one, frames in zip(heard, encoded, strict=True)]
            probabilities = softmax(score(self._model, self.inputs, examples), self.temperature)
            return [
                self._diagnosis(one, example, row)
                for one, example, row in zip(heard, examples, probabilities, strict=True)
            ]

    def _example(self, heard: Heard, frames: np.ndarray) -> Example:
        text = self.inputs.encode(heard.text) if heard.text else ()
        centre = frames.mean(axis=0) if self.inputs.centre == "recording" else None
        return Example(heard.id, frames, text, label=-1, style=-1, centre=centre)

    def _diagnosis(self, heard: Heard, example: Example, probabilities: np.ndarray) -> Diagnosis:
        attribution, words, label = None, (), int(probabilities.argmax())
        if heard.explain and self.hears:
            attribution = attribute(self._model, self.inputs, example, label, self.settings.diagnoser.token_ms)
        if heard.explain and self.reads and heard.text:
            words = word_relevance(self._model, self.inputs, example, heard.text, label)
        return Diagnosis(
            id=heard.id,
            duration_s=len(heard.waveform) / SAMPLE_RATE_HZ,
            windows=len(self.inputs.windows(example)),
            probabilities=dict(zip(self.inputs.labels, probabilities.tolist(), strict=True)),
            attribution=attribution,
            words=words,
        )
