"""The carrier: breaths in time, vesicular breathing, the heart, and what a hand does to a chest piece.

Vesicular breathing (Bohadana, Izbicki and Kraman, NEJM 2014): noise of 100 to 1000 Hz whose energy drops from
200 Hz on; heard through the whole of inspiration and the first third to half of expiration, which is softer and lower.
The level of inspiration at its height is the unit of amplitude of everything that is heard.
"""

from dataclasses import dataclass

import numpy as np

from resp_agent.corpus.schema import SAMPLE_RATE_HZ
from resp_agent.simulation.signals import amplitude, frequencies, high_pass, low_pass, mix, noise

CYCLE_S = (2.0, 5.0)
"""Length of a breath: 12 to 30 a minute."""
INSPIRATION_SHARE = (0.36, 0.46)
"""Of the cycle; the rest is expiration with its pause."""
EXPIRATION_SHARE = (0.34, 0.46)
"""Of the cycle, in which air still flows audibly."""
EXPIRATION_DB = (-10.0, -3.0)
"""Expiration against inspiration."""
VESICULAR_EDGE_HZ = (180.0, 480.0)
"""Where the energy of inspiration starts to fall."""
HEART_DB = (-30.0, -8.0)
"""Heart sounds against inspiration."""
HANDLING_PER_S = 0.2
"""Clicks of skin, hair and cloth under the chest piece, a second."""
HANDLING_DB = (-4.0, 10.0)
"""Their peaks against inspiration."""


@dataclass(frozen=True)
class Breath:
    """One respiratory cycle, in seconds from the start of the clip; its ends may lie outside the clip."""

    start_s: float
    inspiration_end_s: float
    expiration_end_s: float
    end_s: float

    @property
    def inspiration_s(self) -> float:
        """Seconds of inspiration."""
        return self.inspiration_end_s - self.start_s

    @property
    def expiration_s(self) -> float:
        """Seconds of audible expiration."""
        return self.expiration_end_s - self.inspiration_end_s


def breathing(rng: np.random.Generator, duration_s: float) -> list[Breath]:
    """Breaths that cover a clip from a random phase on, each cycle within 5 % of the recording's own."""
    cycle_s = rng.uniform(*CYCLE_S)
    inspiration, expiration = rng.uniform(*INSPIRATION_SHARE), rng.uniform(*EXPIRATION_SHARE)
    start_s = -rng.uniform(0, 0.95 * cycle_s)
    breaths = []
    while start_s < duration_s:
        length_s = cycle_s * rng.uniform(0.95, 1.05)
        ends = start_s + length_s * np.array([inspiration, inspiration + expiration, 1.0])
        breaths.append(Breath(start_s, *map(float, ends)))
        start_s = float(ends[-1])
    return breaths


def vesicular(rng: np.random.Generator, breaths: list[Breath], samples: int) -> np.ndarray:
    """Vesicular breathing, shape (samples,): noise that swells with inspiration and dies away in expiration."""
    hz = frequencies(samples)
    edge_hz, order = rng.uniform(*VESICULAR_EDGE_HZ), rng.uniform(1.6, 2.8)
    lower_hz = edge_hz * rng.uniform(0.6, 0.9)
    body = high_pass(hz, 70, 1)
    inspired = noise(rng, body * low_pass(hz, edge_hz, order), samples)
    expired = noise(rng, body * low_pass(hz, lower_hz, order), samples)
    softer = amplitude(rng.uniform(*EXPIRATION_DB))
    time_s = (np.arange(samples) + 0.5) / SAMPLE_RATE_HZ
    inhale, exhale = np.zeros(samples), np.zeros(samples)
    for breath in breaths:
        rising = (time_s - breath.start_s) / breath.inspiration_s
        falling = (time_s - breath.inspiration_end_s) / breath.expiration_s
        inside = (rising > 0) & (rising < 1)
        inhale[inside] = np.sin(np.pi * rising[inside]) ** 0.7
        inside = (falling > 0) & (falling < 1)
        exhale[inside] = np.sin(np.pi * np.sqrt(falling[inside]))
    return inhale * inspired + softer * exhale * expired


def heart(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Heart sounds, shape (samples,): two thumps of 30 to 90 Hz a beat, 55 to 120 beats a minute."""
    track = np.zeros(samples)
    beat_s = 60 / rng.uniform(55, 120)
    level, first_hz = amplitude(rng.uniform(*HEART_DB)), rng.uniform(35, 70)
    systole_s = 0.22 * beat_s + 0.12
    start_s = -rng.uniform(0, beat_s)
    while start_s < samples / SAMPLE_RATE_HZ:
        for delay_s, hz, gain in ((0, first_hz, 1.0), (systole_s, 1.3 * first_hz, 0.7)):
            time_s = np.arange(round(0.1 * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
            thump = np.sin(2 * np.pi * hz * time_s) * np.sin(np.pi * time_s / 0.1) ** 2
            mix(track, start_s + delay_s, level * gain * thump)
        start_s += beat_s * rng.uniform(0.97, 1.03)
    return track


def handling(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Clicks of handling, shape (samples,): short noise bursts at any moment, in health and in disease alike."""
    track = np.zeros(samples)
    for _ in range(rng.poisson(HANDLING_PER_S * samples / SAMPLE_RATE_HZ)):
        length = round(rng.uniform(0.004, 0.04) * SAMPLE_RATE_HZ)
        hz = frequencies(length)
        burst = noise(rng, high_pass(hz, 80, 1) * low_pass(hz, rng.uniform(200, 1500), 2), length)
        decay = np.exp(-4 * np.arange(length) / length)
        mix(track, rng.uniform(0, samples / SAMPLE_RATE_HZ), amplitude(rng.uniform(*HANDLING_DB)) * burst * decay)
    return track
