"""Kaldi's log mel filter bank, batched in torch: what BEATs hears.

Frames of 25 ms every 10 ms that lie wholly in the audio (snip edges); in each the mean is removed, then pre-emphasis,
Povey window, power spectrum, mel bands, logarithm. No dither. Source: Kaldi, `feat/feature-fbank.cc`.
"""

from functools import lru_cache

import torch

from resp_agent.corpus.schema import SAMPLE_RATE_HZ

WINDOW = 400
"""Samples of a frame: 25 ms."""
HOP = 160
"""Samples from one frame to the next: 10 ms."""
_FFT = 512
_LOW_HZ = 20.0
_PRE_EMPHASIS = 0.97
_FULL_SCALE = 2.0**15
"""Kaldi reads 16-bit integers."""
_FLOOR = torch.finfo(torch.float32).eps
"""Energy below which a band counts as silent: 1.1921e-7."""


def frame_count(samples: int) -> int:
    """Frames that lie wholly in `samples` samples."""
    return max(0, 1 + (samples - WINDOW) // HOP)


def filter_bank(waveform: torch.Tensor, bands: int = 128, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """(..., samples) at 16 kHz, full scale 1, to (..., T, F) float32 natural-log mel energies, T = `frame_count`.

    Args:
        waveform: audio; a row that is padded at its end has the frames of its own length first.
        bands: F, triangles that are equally wide in mel from 20 Hz to 8 kHz.
        dtype: of the arithmetic; float32 is within 1e-4 of float64.
    """
    if waveform.shape[-1] < WINDOW:
        return waveform.new_zeros(*waveform.shape[:-1], 0, bands, dtype=torch.float32)
    frames = (waveform.to(dtype) * _FULL_SCALE).unfold(-1, WINDOW, HOP)
    frames = frames - frames.mean(-1, keepdim=True)
    # The first sample of a frame stands for the one before it.
    before = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
    frames = (frames - _PRE_EMPHASIS * before) * _povey(dtype).to(waveform.device)
    spectrum = torch.fft.rfft(frames, _FFT)
    power = spectrum.real.square() + spectrum.imag.square()
    return (power @ _triangles(bands, dtype).to(waveform.device)).clamp_min(_FLOOR).log().float()


@lru_cache(maxsize=4)
def _povey(dtype: torch.dtype) -> torch.Tensor:
    return torch.hann_window(WINDOW, periodic=False, dtype=torch.float64).pow(0.85).to(dtype)


@lru_cache(maxsize=8)
def _triangles(bands: int, dtype: torch.dtype) -> torch.Tensor:
    """(bins, F) weights. Triangles are straight in mel, not in Hz, and the bin at the Nyquist frequency has none."""
    low, high = _mel(torch.tensor([_LOW_HZ, SAMPLE_RATE_HZ / 2], dtype=torch.float64))
    edges = low + (high - low) / (bands + 1) * torch.arange(bands + 2, dtype=torch.float64)
    mel = _mel(torch.arange(_FFT // 2 + 1, dtype=torch.float64) * SAMPLE_RATE_HZ / _FFT)[:, None]
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    weights = torch.minimum((mel - left) / (centre - left), (right - mel) / (right - centre)).clamp_min(0)
    weights[-1] = 0
    return weights.to(dtype)


def _mel(hz: torch.Tensor) -> torch.Tensor:
    return 1127.0 * torch.log1p(hz / 700.0)
