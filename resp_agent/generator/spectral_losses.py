"""Distances of a waveform from another in short-time spectra of several resolutions (Yamamoto, Song and Kim 2020,
"Parallel WaveGAN", arXiv 1910.11480, section 2.3)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from resp_agent.corpus.schema import SAMPLE_RATE_HZ

POWER_FLOOR = 1e-7
"""Least power of a bin: what is quieter is not told apart."""
HOPS_A_WINDOW = 4


@dataclass(frozen=True)
class SpectralDistance:
    """Means over the resolutions, of each waveform of a batch."""

    convergence: torch.Tensor
    """(B,) norm of the difference of magnitudes, as a share of the norm of the true ones (eq. 4)."""
    magnitude: torch.Tensor
    """(B,) mean absolute difference of natural-log magnitudes (eq. 5)."""

    @property
    def total(self) -> torch.Tensor:
        """(B,) their sum (eq. 3)."""
        return self.convergence + self.magnitude


def spectral_distance(made: torch.Tensor, true: torch.Tensor, resolutions_ms: Sequence[float]) -> SpectralDistance:
    """How far (B, samples) waveforms at 16 kHz are from the true ones, (B, samples).

    Args:
        made: what a model made; gradients flow to it.
        true: what it should have made.
        resolutions_ms: windows of the spectra in ms; their hops are a quarter of them.
    """
    convergences, magnitudes = [], []
    for window_ms in resolutions_ms:
        window = torch.hann_window(round(window_ms * SAMPLE_RATE_HZ / 1000), device=made.device)
        ours, theirs = _magnitude(made, window), _magnitude(true, window)
        convergences.append((theirs - ours).norm(dim=(1, 2)) / theirs.norm(dim=(1, 2)))
        magnitudes.append((theirs.log() - ours.log()).abs().mean((1, 2)))
    return SpectralDistance(torch.stack(convergences).mean(0), torch.stack(magnitudes).mean(0))


def _magnitude(waveform: torch.Tensor, window: torch.Tensor) -> torch.Tensor:
    """(B, samples) -> (B, bins, T)."""
    size = len(window)
    padded = torch.nn.functional.pad(waveform, (size // 2, size - size // 2))
    spectrum = torch.stft(padded, size, max(size // HOPS_A_WINDOW, 1), window=window, center=False, return_complex=True)
    # The root of a power that is nowhere 0, whose gradient would be infinite.
    return (spectrum.real.square() + spectrum.imag.square()).clamp_min(POWER_FLOOR).sqrt()
