"""Noise, filters and windows by FFT, in float64: what both factors of the simulator are made of."""

import numpy as np

from resp_agent.corpus.schema import SAMPLE_RATE_HZ


def samples_of(duration_s: float) -> int:
    """Samples in `duration_s` seconds at the corpus rate."""
    return round(duration_s * SAMPLE_RATE_HZ)


def frequencies(samples: int) -> np.ndarray:
    """Frequencies in Hz of the bins of `np.fft.rfft` of `samples` samples, shape (samples // 2 + 1,)."""
    return np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ)


def low_pass(hz: np.ndarray, edge_hz: float, order: float) -> np.ndarray:
    """Butterworth magnitude at `hz`: -3 dB at the edge, -6 dB per octave and order above it."""
    return 1 / np.sqrt(1 + (hz / edge_hz) ** (2 * order))


def high_pass(hz: np.ndarray, edge_hz: float, order: float) -> np.ndarray:
    """Butterworth magnitude at `hz`: -3 dB at the edge, -6 dB per octave and order below it."""
    power = (hz / edge_hz) ** (2 * order)
    return np.sqrt(power / (1 + power))


def resonance(hz: np.ndarray, centre_hz: float, quality: float, gain_db: float) -> np.ndarray:
    """Magnitude of a peak of `gain_db` at `centre_hz`, 1 far from it; its width is centre / quality."""
    distance = quality * (hz / centre_hz - centre_hz / np.maximum(hz, 1e-3))
    return 1 + (amplitude(gain_db) - 1) / (1 + distance**2)


def amplitude(db: float | np.ndarray) -> float | np.ndarray:
    """Decibels to an amplitude ratio."""
    return 10 ** (np.asarray(db) / 20)


def apply(waveform: np.ndarray, magnitude: np.ndarray) -> np.ndarray:
    """Zero-phase filtering by a magnitude over `frequencies(len(waveform))`; the clip's ends are joined."""
    return np.fft.irfft(np.fft.rfft(waveform) * magnitude, len(waveform))


def noise(rng: np.random.Generator, magnitude: np.ndarray, samples: int) -> np.ndarray:
    """Gaussian noise of root mean square 1 with a magnitude spectrum over `frequencies(samples)`."""
    spectrum = np.fft.rfft(rng.standard_normal(samples)) * magnitude
    # By Parseval, from the expected power: a clip's own fluctuation stays in it.
    power = (2 * np.sum(magnitude**2) - magnitude[0] ** 2) / samples
    return np.fft.irfft(spectrum, samples) / np.sqrt(power)


def window(samples: int, rise: int, fall: int) -> np.ndarray:
    """A plateau of 1 with raised-cosine ends of `rise` and `fall` samples, shape (samples,)."""
    shape = np.ones(samples)
    rise, fall = min(rise, samples // 2), min(fall, samples // 2)
    if rise:
        shape[:rise] = 0.5 - 0.5 * np.cos(np.pi * (np.arange(rise) + 0.5) / rise)
    if fall:
        shape[samples - fall :] = 0.5 + 0.5 * np.cos(np.pi * (np.arange(fall) + 0.5) / fall)
    return shape


def mix(track: np.ndarray, start_s: float, sound: np.ndarray) -> None:
    """Adds a sound that starts at `start_s` seconds to a track; what lies outside the track is lost."""
    start = round(start_s * SAMPLE_RATE_HZ)
    first, last = max(start, 0), min(start + len(sound), len(track))
    if first < last:
        track[first:last] += sound[first - start : last - start]
