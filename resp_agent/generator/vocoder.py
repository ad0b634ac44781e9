"""Log-mel to waveform without weights: mel inversion and Griffin-Lim from white noise, batched."""

from functools import lru_cache

import numpy as np
import torch

from resp_agent.audio.features import FLOOR, analysis_window, fft_size, hop_samples, mel_filters, window_samples
from resp_agent.corpus.schema import SAMPLE_RATE_HZ
from resp_agent.errors import RunFailed
from resp_agent.settings import AudioSettings

INVERSION_UPDATES = 12
"""Multiplicative updates of the non-negative mel inversion."""


def invert_mel(mel: torch.Tensor, audio: AudioSettings) -> torch.Tensor:
    """(B, T, M) mel power to (B, T, bins) power whose mel bands match it, all non-negative.

    Multiplicative updates for the Kullback-Leibler divergence (Lee and Seung 2001, eq. 5), from a clipped
    pseudo-inverse.
    """
    filters = mel_filters(audio)
    power = (mel @ _pseudo_inverse(audio)).clamp_min(FLOOR * 1e-3)
    weight = filters.sum(0).clamp_min(1e-12)
    for _ in range(INVERSION_UPDATES):
        power = power * ((mel / (power @ filters.T).clamp_min(FLOOR * 1e-3)) @ filters) / weight
    return power


@lru_cache(maxsize=8)
def _pseudo_inverse(audio: AudioSettings) -> torch.Tensor:
    return torch.linalg.pinv(mel_filters(audio).double()).T.float().contiguous()


def vocode(log_mel: np.ndarray, audio: AudioSettings, iterations: int, rngs: list[np.random.Generator]) -> np.ndarray:
    """(B, T, M) natural-log mel power to (B, T * hop) float32 audio at 16 kHz in [-1, 1].

    Griffin and Lim 1984, section III: a signal is analysed, its magnitudes are replaced, its phases kept, `iterations`
    times. It begins as white noise that each clip's own generator draws. Breathing is noise, so its phases are already
    those of such a sound, and few iterations do; many of them, from phases drawn at random, make tones of noise.
    Levels are those of the log-mel; what would exceed full scale is clipped, as a recorder does.

    Raises:
        RunFailed: the result is not finite.
    """
    size, hop = fft_size(audio), hop_samples(audio)
    frames = log_mel.shape[1]
    mel = torch.exp(torch.from_numpy(np.ascontiguousarray(log_mel, np.float32)).clamp(max=20.0))
    magnitude = invert_mel(mel, audio).sqrt().transpose(1, 2)
    samples = size + hop * (frames - 1)
    waveform = torch.from_numpy(np.stack([rng.standard_normal(samples).astype(np.float32) for rng in rngs]))
    for _ in range(iterations):
        spectrum = _analyse(waveform, audio, frames)
        # Half the time of dividing by abs(), which guards against overflow that cannot happen here.
        inverse = torch.rsqrt(spectrum.real.square() + spectrum.imag.square() + 1e-24)
        waveform = _synthesise(spectrum * (magnitude * inverse), audio)[:, :samples]
    before = size // 2 - hop // 2
    waveform = waveform[:, before : before + frames * hop]
    if not torch.isfinite(waveform).all():
        raise RunFailed(f"the vocoder made audio that is not finite at {SAMPLE_RATE_HZ} Hz: the log-mel holds NaN")
    return waveform.clamp(-1, 1).numpy()


def _analyse(signal: torch.Tensor, audio: AudioSettings, frames: int) -> torch.Tensor:
    """(B, samples) to (B, bins, T) complex, frames as in `audio.features.log_mel` of the padded signal."""
    return torch.stft(
        signal,
        fft_size(audio),
        hop_samples(audio),
        window_samples(audio),
        analysis_window(audio),
        center=False,
        return_complex=True,
    )[..., :frames]


def _synthesise(spectrum: torch.Tensor, audio: AudioSettings) -> torch.Tensor:
    """(B, bins, T) complex to (B, size + (T - 1) hop): least-squares overlap-add (Griffin and Lim 1984, eq. 6)."""
    size, hop, inner = fft_size(audio), hop_samples(audio), window_samples(audio)
    frames, before = spectrum.shape[-1], (size - inner) // 2
    window = analysis_window(audio)
    # Only what lies under the window counts, cut into whole hops so that overlap-add is a few shifted sums.
    pieces = torch.fft.irfft(spectrum.transpose(1, 2), size)[..., before : before + inner] * window
    total = _overlap_add(pieces, hop)
    weight = _overlap_add(window.square().expand(1, frames, inner), hop).clamp_min(1e-2)
    length = size + hop * (frames - 1)
    padded = torch.nn.functional.pad(total / weight, (before, size))
    return padded[:, :length]


def _overlap_add(pieces: torch.Tensor, hop: int) -> torch.Tensor:
    """(B, T, inner) pieces, a hop apart, to (B, (T - 1) hop + inner rounded up to whole hops)."""
    count, frames, inner = pieces.shape
    parts = -(-inner // hop)
    cut = torch.nn.functional.pad(pieces, (0, parts * hop - inner)).view(count, frames, parts, hop)
    total = pieces.new_zeros(count, frames + parts - 1, hop)
    for part in range(parts):
        total[:, part : part + frames] += cut[:, :, part]
    return total.flatten(1)
