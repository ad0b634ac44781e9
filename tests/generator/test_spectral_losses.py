import numpy as np
import pytest
import torch

from resp_agent.generator.spectral_losses import POWER_FLOOR, spectral_distance
from resp_agent.randomness import stream


def noise(seed: int, samples: int = 4_000) -> np.ndarray:
    return stream("spectral", seed).standard_normal((2, samples)).astype(np.float32)


def slow(made: np.ndarray, true: np.ndarray, window_ms: float) -> tuple[float, float]:
    """Convergence and log-magnitude distance of one pair, frame by frame."""
    size = round(16 * window_ms)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    spectra = []
    for waveform in (made, true):
        padded = np.pad(waveform, (size // 2, size - size // 2))
        starts = range(0, len(padded) - size + 1, size // 4)
        power = [np.abs(np.fft.rfft(window * padded[start : start + size])) ** 2 for start in starts]
        spectra.append(np.sqrt(np.maximum(power, POWER_FLOOR)))
    ours, theirs = spectra
    return np.linalg.norm(theirs - ours) / np.linalg.norm(theirs), np.abs(np.log(theirs / ours)).mean()


def test_it_is_that_of_a_slow_version():
    made, true = noise(0), noise(1)
    told = spectral_distance(torch.from_numpy(made), torch.from_numpy(true), (8, 32))
    expected = np.mean([[slow(*pair, window_ms) for pair in zip(made, true, strict=True)] for window_ms in (8, 32)], 0)
    np.testing.assert_allclose(told.convergence, expected[:, 0], rtol=1e-4)
    np.testing.assert_allclose(told.magnitude, expected[:, 1], rtol=1e-4)


def test_a_louder_copy_differs_by_its_loudness():
    true = torch.from_numpy(noise(0))
    told = spectral_distance(3 * true, true, (16,))
    np.testing.assert_allclose(told.convergence, 2.0, rtol=1e-4)
    np.testing.assert_allclose(told.magnitude, np.log(3), rtol=1e-2)


def test_gradients_of_silence_are_finite():
    made = torch.zeros(1, 2_000, requires_grad=True)
    spectral_distance(made, torch.from_numpy(noise(0, 2_000)[:1]), (8, 64)).total.sum().backward()
    assert torch.isfinite(made.grad).all()


@pytest.mark.parametrize("seed", range(3))
def test_equal_ones_have_no_distance(seed):
    true = torch.from_numpy(noise(seed))
    assert float(spectral_distance(true, true, (8, 16)).total.abs().max()) == 0
