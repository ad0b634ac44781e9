"""BEATs as an audio encoder: time and frequency apart, a frame is a moment, recordings in their true length."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from resp_agent.audio.filter_bank import HOP, WINDOW
from resp_agent.corpus.schema import SAMPLE_RATE_HZ
from resp_agent.encoders.beats_files import load_beats, load_tokenizer, save_beats
from resp_agent.encoders.beats_model import Beats, BeatsSettings, BeatsTokenizer, hear
from resp_agent.encoders.pretrained import Window, in_windows, stacked, weights_digest
from resp_agent.randomness import digest
from resp_agent.settings.checks import refuse
from resp_agent.training.distributed import device

__all__ = [
    "Beats",
    "BeatsFeatures",
    "BeatsSettings",
    "BeatsTokenizer",
    "BeatsUnits",
    "load_beats",
    "load_tokenizer",
    "save_beats",
]

_VERSION = 1
"""Counts changes of the code, here and in the model, that change numbers."""
_OVERLAP = WINDOW - HOP
"""Samples that a frame of the filter bank hears beyond its hop."""
_BATCH = 256
"""Moments that are encoded at once."""


class _Moments:
    """Hears recordings moment by moment.

    A moment is one column of F patches: moment t hears one hop of audio (160 ms with patches of 16 frames) from t hops
    on, and the 15 ms after it. A recording has as many as it takes to hear its last sample; what the last moment lacks
    is silence. With two shifts the recording is heard a second time from half a hop on, and moments take turns.

    Args:
        model: put on this process's device.
        window_s: seconds heard at once, rounded up to whole moments. Longer recordings are cut into equal windows.
        shifts: 1 or 2.
    """

    def __init__(self, model: Beats, window_s: float = 10.0, shifts: int = 1):
        refuse(shifts not in (1, 2), f"{shifts} shifts are none of 1, 2")
        self.model = model.eval().to(device())
        self.shifts = shifts
        self.bands = model.settings.bands
        self.hop = model.settings.patch * HOP
        self.most = max(1, -(-(round(window_s * SAMPLE_RATE_HZ) - _OVERLAP) // self.hop))
        self.frame_ms = self.hop * 1000 / SAMPLE_RATE_HZ / shifts

    @cached_property
    def fingerprint(self) -> str:
        """Content name of the weights and of everything else that changes a number."""
        return digest(type(self).__name__, _VERSION, weights_digest(self.model), self.most, self.shifts)

    def frame_count(self, samples: int) -> int:
        """T of a recording: ceil((samples - 240) shifts / hop), at least 1 if there is a sample."""
        return max(int(samples > 0), -(-(samples - _OVERLAP) * self.shifts // self.hop))

    @torch.inference_mode()
    def _heard(self, waveforms: Sequence[np.ndarray], of: Callable, nothing: np.ndarray) -> list[np.ndarray]:
        """Each (samples,) to (T, F, ...): what `of` makes of tokens (B, S, D); `nothing`, (0, F, ...), of no sound."""
        offset = self.hop // self.shifts
        # Recording by recording, each as often as it is heard.
        turns = [waveform[turn * offset :] for waveform in waveforms for turn in range(self.shifts)]
        totals = [self.frame_count(len(waveform)) for waveform in waveforms]
        lengths = [len(range(turn, total, self.shifts)) for total in totals for turn in range(self.shifts)]

        def hear_windows(windows: list[Window]) -> np.ndarray:
            samples = windows[0].frames * self.hop + _OVERLAP
            parts = [turns[one.owner][one.start * self.hop :][:samples] for one in windows]
            tokens = self.model(hear(torch.from_numpy(stacked(parts, samples)).to(device())))
            return of(tokens).unflatten(1, (-1, self.bands)).cpu().numpy()

        heard = in_windows(lengths, self.most, hear_windows, nothing, _BATCH)
        return [_interleaved(heard[row * self.shifts :][: self.shifts]) for row in range(len(waveforms))]


class BeatsFeatures(_Moments):
    """The encoder's features: a frame is the F tokens of a moment, low band first, D = F x the model's width."""

    @classmethod
    def from_weights(cls, weights: Path | str, window_s: float = 10.0, shifts: int = 1) -> "BeatsFeatures":
        """With the weights of a file or folder; see `load_beats`, whose errors it raises."""
        return cls(load_beats(weights), window_s, shifts)

    @property
    def width(self) -> int:
        """D, numbers in a frame."""
        return self.bands * self.model.settings.width

    def encode(self, waveforms: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Each (samples,) float32 at 16 kHz to (T, D) float32, T = `frame_count(samples)`."""
        nothing = np.zeros((0, self.bands, self.model.settings.width), np.float32)
        heard = self._heard(waveforms, torch.Tensor.float, nothing)
        return [frames.reshape(len(frames), self.width) for frames in heard]


class BeatsUnits(_Moments):
    """The tokenizer's units, F for each moment."""

    dtype = "int16"
    """In which they are kept."""

    @classmethod
    def from_weights(cls, weights: Path | str, window_s: float = 10.0, shifts: int = 1) -> "BeatsUnits":
        """With the weights of a file or folder; see `load_tokenizer`, whose errors it raises."""
        return cls(load_tokenizer(weights), window_s, shifts)

    @property
    def width(self) -> int:
        """F, units of a moment."""
        return self.bands

    def encode(self, waveforms: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Each (samples,) float32 at 16 kHz to (T, F) int64 units, low band first, T = `frame_count(samples)`."""
        return self._heard(waveforms, self.model.name, np.zeros((0, self.bands), np.int64))


def _interleaved(turns: Sequence[np.ndarray]) -> np.ndarray:
    """Frames in order of time, the first turn's first."""
    made = np.empty((sum(map(len, turns)), *turns[0].shape[1:]), turns[0].dtype)
    for turn, frames in enumerate(turns):
        made[turn :: len(turns)] = frames
    return made
