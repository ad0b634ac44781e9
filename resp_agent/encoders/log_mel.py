"""Log-mel as an encoder: its frames are the bands of the audio settings."""

from collections.abc import Sequence

import numpy as np

from resp_agent.encoders.patches import waveform_log_mel
from resp_agent.settings import AudioSettings, fingerprint

VERSION = "log-mel-1"


class LogMel:
    """Implements `AudioEncoder`; see `waveform_log_mel`."""

    def __init__(self, audio: AudioSettings):
        self._audio = audio
        self.width = audio.mels
        self.frame_ms = audio.hop_ms
        numbers = (audio.mels, audio.low_hz, audio.high_hz, audio.window_ms, audio.hop_ms)
        self.fingerprint = fingerprint(VERSION, *numbers)

    def encode(self, waveforms: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Natural-log mel power of each, (T, M) float32, T being its whole hops."""
        return [waveform_log_mel(waveform, self._audio) for waveform in waveforms]
