"""A stored diagnoser at work: one recording in, a diagnosis out."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from resp_agent.corpus.schema import SAMPLE_RATE_HZ
from resp_agent.diagnoser.attribution import Attribution, attribute
from resp_agent.diagnoser.inputs import Example
from resp_agent.diagnoser.scoring import score, softmax
from resp_agent.diagnoser.stored import load_diagnoser, read_settings
from resp_agent.encoders import make_encoder
from resp_agent.errors import UserError
from resp_agent.threads import threads
from resp_agent.training.distributed import device


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
    """Where in the audio the likeliest label comes from; None where the system takes no audio."""

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
        self._settings = read_settings(folder)
        model, self.inputs, self.temperature = load_diagnoser(folder, self._settings)
        if text and not model.reads:
            raise UserError(f"the system {self._settings.diagnoser.system!r} reads no text: leave out --text")
        if not text and not model.hears:
            raise UserError(f"the system {self._settings.diagnoser.system!r} reads text alone: give --text")
        self._model = model.to(device())
        self._encoder = make_encoder(self._settings.diagnoser.encoder, self._settings.audio)
        self._text = self.inputs.encode(text) if text else ()

    def __call__(self, recording: str, waveform: np.ndarray) -> Diagnosis:
        """The diagnosis of (samples,) audio at 16 kHz by its id; windows cover the whole of it and are pooled."""
        with threads(self._settings.threads):
            frames = self._encoder.encode([waveform])[0]
            centre = frames.mean(axis=0) if self.inputs.centre == "recording" else None
            example = Example(recording, frames, self._text, label=-1, style=-1, centre=centre)
            probabilities = softmax(score(self._model, self.inputs, [example]), self.temperature)[0]
            found = None
            if self._model.hears:
                label, moment_ms = int(probabilities.argmax()), self._settings.diagnoser.token_ms
                found = attribute(self._model, self.inputs, example, label, moment_ms)
        return Diagnosis(
            id=recording,
            duration_s=len(waveform) / SAMPLE_RATE_HZ,
            windows=len(self.inputs.windows(example)),
            probabilities=dict(zip(self.inputs.labels, probabilities.tolist(), strict=True)),
            attribution=found,
        )
