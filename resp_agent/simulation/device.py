"""How it sounds: five devices, independent of what is heard.

A device is a transfer function (edges, resonances), noise of its own, and what its electronics do. Every recording
varies all of them a little, as another sensor, another hand and another room would.
"""

from dataclasses import dataclass

import numpy as np

from resp_agent.corpus.schema import SAMPLE_RATE_HZ
from resp_agent.simulation.signals import amplitude, frequencies, high_pass, low_pass, resonance

VARIATION = 0.25
"""Relative standard deviation of edges and resonances between recordings of one device."""
NOISE_SPREAD_DB = 5.0
"""Standard deviation of the level of noise and of hum between recordings."""
LEVEL_SPREAD_DB = 6.0
"""Standard deviation of the recording level."""
CEILING = 0.97
"""Largest sample: above it a recording is turned down, none is clipped."""


@dataclass(frozen=True)
class Device:
    """A device; levels of noise are against inspiration before the device."""

    original_sample_rate_hz: int
    low: tuple[float, float]
    """Lower edge in Hz and its order."""
    high: tuple[float, float]
    """Upper edge in Hz and its order."""
    resonances: tuple[tuple[float, float, float], ...]
    """Centre in Hz, quality, gain in dB."""
    noise_db: float
    noise_tilt: float
    """Noise falls by this many times 3 dB an octave: 0 is white, 1 is pink."""
    level_db: float
    """Mean recording level: full scale of inspiration."""
    rumble_db: float | None = None
    """Body and cable noise below 60 Hz."""
    hum_db: float | None = None
    """Mains hum of 50 or 60 Hz, with overtones."""
    reverberation_s: tuple[float, float] | None = None
    """Time to fall by 60 dB."""
    gain_control: float = 0.0
    """Share of the loudness differences, in dB, that automatic gain control takes away."""
    brick_hz: float | None = None
    """Nothing is left from here on."""


DEVICE_TABLE = {
    "stethoscope bell": Device(8_000, (25, 1), (550, 1.2), ((110, 1.5, 5),), -28, 1.0, -22, rumble_db=-18),
    "stethoscope diaphragm": Device(44_100, (100, 1.5), (1400, 1.4), ((420, 1.5, 4),), -26, 0.7, -26),
    "electronic stethoscope": Device(
        4_000, (60, 1), (1700, 4), ((800, 1.0, 4),), -26, 0.0, -24, hum_db=-12, brick_hz=1_950
    ),
    "smartphone": Device(
        48_000, (150, 1.2), (3600, 4), ((2300, 2.0, 4),), -25, 0.6, -24, reverberation_s=(0.25, 0.6), gain_control=0.3
    ),
    "contact microphone": Device(
        10_000, (90, 1), (1500, 3), ((900, 3.0, 5), (250, 3.0, -3)), -28, 0.5, -20, rumble_db=-12
    ),
}
"""The five devices by name."""

DEVICES = tuple(DEVICE_TABLE)
"""Names of the devices, which are the styles of the embedded corpus."""


def through(name: str, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a device makes of a sound, (samples,) float64 within full scale.

    Raises:
        ValueError: there is no such device.
    """
    if name not in DEVICE_TABLE:
        raise ValueError(f"there is no device {name!r}: choose one of {', '.join(DEVICES)}")
    device, samples = DEVICE_TABLE[name], len(waveform)
    hz = frequencies(samples)
    spectrum = np.fft.rfft(waveform)
    if device.reverberation_s:
        spectrum = np.fft.rfft(_reverberated(waveform, rng.uniform(*device.reverberation_s), rng))
    spectrum += np.fft.rfft(rng.standard_normal(samples)) * _noise_magnitude(device, hz, rng)
    spectrum *= _response(device, hz, rng)
    sound = np.fft.irfft(spectrum, samples)
    if device.gain_control:
        sound = _gain_controlled(sound, device.gain_control)
    if device.hum_db is not None:
        sound += _hum(samples, device.hum_db + NOISE_SPREAD_DB * rng.standard_normal(), rng)
    sound *= amplitude(device.level_db + LEVEL_SPREAD_DB * rng.standard_normal())
    return sound * min(1.0, CEILING / np.abs(sound).max())


def _varied(value: float, rng: np.random.Generator) -> float:
    return value * np.exp(VARIATION * rng.standard_normal())


def _response(device: Device, hz: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    magnitude = high_pass(hz, _varied(device.low[0], rng), device.low[1])
    magnitude *= low_pass(hz, _varied(device.high[0], rng), device.high[1])
    for centre_hz, quality, gain_db in device.resonances:
        magnitude *= resonance(hz, _varied(centre_hz, rng), quality, gain_db + 2 * rng.standard_normal())
    if device.brick_hz is not None:
        magnitude *= np.clip((device.brick_hz - hz) / 40, 0, 1)
    return magnitude


def _noise_magnitude(device: Device, hz: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    # Full band: white noise of root mean square 1 has magnitude 1 here.
    tilt = (np.maximum(hz, 20) / 500) ** (-device.noise_tilt / 2)
    level = 3 * amplitude(device.noise_db + NOISE_SPREAD_DB * rng.standard_normal())
    magnitude = level * tilt
    if device.rumble_db is not None:
        rumble = amplitude(device.rumble_db + NOISE_SPREAD_DB * rng.standard_normal())
        magnitude = magnitude + 8 * rumble * low_pass(hz, 50, 2)
    return magnitude


def _hum(samples: int, level_db: float, rng: np.random.Generator) -> np.ndarray:
    time_s = np.arange(samples) / SAMPLE_RATE_HZ
    mains_hz = rng.choice([50.0, 60.0]) * (1 + 1e-4 * rng.standard_normal())
    overtones = amplitude(rng.uniform(-20, -4, 7))
    total = sum(
        level * np.sin(2 * np.pi * (multiple * mains_hz * time_s + rng.random()))
        for multiple, level in enumerate([1.0, *overtones], start=1)
    )
    return amplitude(level_db) * total


def _reverberated(waveform: np.ndarray, fall_s: float, rng: np.random.Generator) -> np.ndarray:
    """The sound in a room: itself and an exponentially decaying noise tail (Polack's model) 3 to 9 dB below it."""
    tail = round(fall_s * SAMPLE_RATE_HZ)
    response = rng.standard_normal(tail) * 10 ** (-3 * np.arange(tail) / tail)
    response *= amplitude(-rng.uniform(3, 9)) / np.sqrt(np.sum(response**2))
    response[0] += 1.0
    size = 1 << (len(waveform) + tail - 1).bit_length()
    return np.fft.irfft(np.fft.rfft(waveform, size) * np.fft.rfft(response, size), size)[: len(waveform)]


def _gain_controlled(sound: np.ndarray, share: float) -> np.ndarray:
    """Automatic gain control: blocks of 20 ms, gain falling in about 40 ms and recovering in about 400 ms."""
    block = round(0.02 * SAMPLE_RATE_HZ)
    count = -(-len(sound) // block)
    power = np.add.reduceat(sound**2, np.arange(0, len(sound), block)) / block
    loudness = np.log(np.sqrt(power) + 1e-4)
    followed = np.empty(count)
    state = float(np.median(loudness))
    for t, value in enumerate(loudness):
        state += (0.4 if value > state else 0.05) * (value - state)
        followed[t] = state
    centres = (np.arange(count) + 0.5) * block
    return sound * np.exp(-share * np.interp(np.arange(len(sound)), centres, followed))
