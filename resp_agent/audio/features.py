"""Waveform to log-mel frames, in torch; the same numbers for diagnoser and generator, real and synthetic."""

from functools import lru_cache

import librosa
import numpy as np
import torch

from resp_agent.corpus.schema import SAMPLE_RATE_HZ
from resp_agent.settings import AudioSettings

FLOOR = 1e-6
"""Power below which a band counts as silent."""


def hop_samples(audio: AudioSettings) -> int:
    """Samples from one frame to the next."""
    return round(audio.hop_ms * SAMPLE_RATE_HZ / 1000)


def window_samples(audio: AudioSettings) -> int:
    """Samples of the analysis window."""
    return round(audio.window_ms * SAMPLE_RATE_HZ / 1000)


def fft_size(audio: AudioSettings) -> int:
    """The window's length rounded up to a power of two."""
    return 1 << (window_samples(audio) - 1).bit_length()


# Both are kept for whoever asks next, who may be training.
@lru_cache(maxsize=8)
@torch.inference_mode(False)
def mel_filters(audio: AudioSettings) -> torch.Tensor:
    """(M, bins) triangular mel filters of unit area (librosa, Slaney), float32."""
    filters = librosa.filters.mel(
        sr=SAMPLE_RATE_HZ, n_fft=fft_size(audio), n_mels=audio.mels, fmin=audio.low_hz, fmax=audio.high_hz
    )
    return torch.from_numpy(filters.astype(np.float32))


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def analysis_window(audio: AudioSettings) -> torch.Tensor:
    """The periodic Hann window of `window_samples`."""
    return torch.hann_window(window_samples(audio))


def frame_count(samples: int, audio: AudioSettings) -> int:
    """Frames of `samples` samples: one for each whole hop."""
    return samples // hop_samples(audio)


def log_mel(waveform: torch.Tensor, audio: AudioSettings) -> torch.Tensor:
    """(..., samples) float32 at 16 kHz to (..., T, M) natural-log mel power.

    Frame t is centred on the middle of the hop that starts at t hops, and T = samples // hop.
    Edges are padded with zeros. Power is floored at `FLOOR`.
    """
    hop, size = hop_samples(audio), fft_size(audio)
    shape = waveform.shape
    flat = waveform.reshape(-1, shape[-1])
    frames = frame_count(shape[-1], audio)
    before = size // 2 - hop // 2
    padded = torch.nn.functional.pad(flat, (before, size))
    spectrum = torch.stft(
        padded,
        size,
        hop,
        window_samples(audio),
        analysis_window(audio).to(flat.device),
        center=False,
        return_complex=True,
    )[..., :frames]
    power = spectrum.real.square() + spectrum.imag.square()
    mel = mel_filters(audio).to(flat.device) @ power
    return torch.log(mel.clamp_min(FLOOR)).transpose(-1, -2).reshape(*shape[:-1], frames, audio.mels)
