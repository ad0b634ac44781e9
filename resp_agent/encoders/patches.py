"""Log-mel patches: one hop of audio is one patch, and what the encoder needs to standardise them."""

from dataclasses import dataclass

import numpy as np
import torch

from resp_agent.audio.features import log_mel
from resp_agent.settings import AudioSettings

SMALLEST_SD = 1e-3
"""A band that hardly moves in the training split is not blown up by standardising."""


def waveform_log_mel(waveform: np.ndarray, audio: AudioSettings) -> np.ndarray:
    """(samples,) float32 at 16 kHz to (T, M) float32 natural-log mel power; see `audio.features.log_mel`."""
    return log_mel(torch.from_numpy(np.ascontiguousarray(waveform, np.float32)), audio).numpy()


@dataclass(frozen=True)
class PatchEncoder:
    """Waveform to patches standardised by the training split's mean and standard deviation."""

    audio: AudioSettings
    mean: np.ndarray
    """(M,) float32."""
    sd: np.ndarray
    """(M,) float32."""

    @classmethod
    def fit(cls, waveforms: list[np.ndarray], audio: AudioSettings) -> "PatchEncoder":
        """Mean and standard deviation per band over all patches of the training split's waveforms.

        Raises:
            ValueError: no waveform holds a whole patch.
        """
        patches = [waveform_log_mel(waveform, audio) for waveform in waveforms]
        if not sum(map(len, patches)):
            raise ValueError("patches are standardised by the training split, which holds no audio")
        stacked = np.concatenate(patches).astype(np.float64)
        sd = np.maximum(stacked.std(0), SMALLEST_SD)
        return cls(audio, stacked.mean(0).astype(np.float32), sd.astype(np.float32))

    def encode(self, waveform: np.ndarray) -> np.ndarray:
        """(samples,) float32 to (T, M) float32 standardised patches, T whole hops."""
        return (waveform_log_mel(waveform, self.audio) - self.mean) / self.sd
