"""Encoders: waveforms to frames of features, the same for whoever learns from them."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from resp_agent.settings import AudioSettings, EncoderSettings
from resp_agent.weights import locate


class AudioEncoder(Protocol):
    """Turns waveforms into frames. Frozen: the same waveform gives the same frames, whatever lies beside it."""

    width: int
    """D, numbers in a frame."""
    frame_ms: float
    """Distance of frames."""
    fingerprint: str
    """Content name: of the weights and of everything else that changes a number."""

    def encode(self, waveforms: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Each (samples,) float32 at 16 kHz to its (T, D) float32, the whole recording and nothing more."""


def make_encoder(encoder: EncoderSettings, audio: AudioSettings) -> AudioEncoder:
    """The encoder that the settings name.

    Raises:
        UserError: its weights are not there or not its own.
    """
    # Imported when needed: log-mel does without transformers.
    if encoder.kind == "whisper":
        from resp_agent.encoders.whisper import WhisperFeatures

        return WhisperFeatures.from_weights(locate(encoder.weights), window_s=encoder.window_s, pool=encoder.pool)
    if encoder.kind == "beats":
        from resp_agent.encoders.beats import BeatsFeatures

        return BeatsFeatures.from_weights(encoder.weights, window_s=encoder.window_s, shifts=encoder.shifts)
    from resp_agent.encoders.log_mel import LogMel

    return LogMel(audio)
