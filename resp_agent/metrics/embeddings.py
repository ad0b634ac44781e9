"""Embeddings: a recording or a clip as one vector, what a frozen encoder hears in it on average over time."""

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np

from resp_agent.encoders import make_encoder
from resp_agent.errors import UserError
from resp_agent.settings import AudioSettings, EncoderSettings

AT_ONCE = 32
"""Waveforms that are embedded at a time."""
SMALLEST_SD = 1e-6


class Embedder:
    """A frozen encoder, pooled over time.

    Of a pretrained one, frames are averaged; of log-mel, each band's mean and deviation are taken.
    """

    def __init__(self, encoder: EncoderSettings, audio: AudioSettings):
        """Raises UserError where the encoder's weights are not there."""
        self._encoder = make_encoder(encoder, audio)
        self._pooled = _statistics if encoder.kind == "log-mel" else _mean
        own = "mean and deviation of bands" if encoder.kind == "log-mel" else f"{encoder.weights}, mean over time"
        self.name = f"{encoder.kind} ({own})"
        """The backbone, for people: a distance says nothing without it."""
        self.fingerprint: str = self._encoder.fingerprint
        """Content name of the encoder's weights and of everything else that changes a number."""

    def __call__(self, waveforms: Iterable[np.ndarray]) -> np.ndarray:
        """(N, D) float32 of so many (samples,) waveforms at 16 kHz.

        Raises:
            UserError: there is none, or one is too short for a frame.
        """
        rows, waiting = [], iter(waveforms)
        while some := list(islice(waiting, AT_ONCE)):
            for frames in self._encoder.encode(some):
                if not len(frames):
                    raise UserError(f"recording {len(rows)} is too short for a frame of {self.name}: leave it out")
                rows.append(self._pooled(frames))
        if not rows:
            raise UserError("there is nothing to embed: give at least one recording")
        return np.stack(rows).astype(np.float32)


class Scale:
    """Gives each dimension of embeddings zero mean and unit deviation over real recordings."""

    def __init__(self, real: np.ndarray):
        """`real`: (R, D)."""
        self._centre, self._deviation = real.mean(0), np.maximum(real.std(0), SMALLEST_SD)

    def __call__(self, embeddings: np.ndarray) -> np.ndarray:
        """(N, D) to (N, D)."""
        return (embeddings - self._centre) / self._deviation


def unit(vectors: np.ndarray) -> np.ndarray:
    """(..., D) of length 1; 0 stays 0."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def rows_of(embeddings: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Name -> the (N, D) rows that carry it."""
    return {name: embeddings[[one == name for one in names]] for name in sorted(set(names))}


def _mean(frames: np.ndarray) -> np.ndarray:
    return frames.mean(0)


def _statistics(frames: np.ndarray) -> np.ndarray:
    return np.concatenate([frames.mean(0), frames.std(0)])
