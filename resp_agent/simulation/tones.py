"""Musical adventitious sounds: wheeze, rhonchus, stridor. Levels are in dB of amplitude against inspiration.

Facts are from Bohadana, Izbicki and Kraman (NEJM 2014) and the CORSA definitions (Eur Respir Rev 2000).
"""

import numpy as np

from resp_agent.corpus.schema import SAMPLE_RATE_HZ, Event
from resp_agent.simulation.breath import Breath
from resp_agent.simulation.signals import amplitude, samples_of, window

WHEEZE_HZ = (180.0, 900.0)
"""A wheeze lies anywhere from 100 to above 1000 Hz, most between these, and lasts 80 to 100 ms or more."""
WHEEZE_LEAST_S = 0.12
"""Shorter tones are not drawn."""
RHONCHUS_HZ = (80.0, 190.0)
"""A rhonchus is a low wheeze, below 200 (some say 300) Hz, rich in overtones: it snores."""
STRIDOR_HZ = (520.0, 900.0)
"""Stridor: a loud musical sound above 500 Hz, of inspiration, with overtones."""
DRIFT = 0.12
"""Largest relative change of pitch in the course of one tone."""
SHORTEST_HEARD_S = 0.08
"""A tone of which the clip holds less than this is left out, sound and event."""

Sound = tuple[np.ndarray, list[Event]]


def tone(
    rng: np.random.Generator, duration_s: float, hz: float, overtones: tuple[float, ...], drift: float = DRIFT
) -> np.ndarray:
    """A tone whose pitch starts at `hz`, drifts and trembles, with overtone amplitudes relative to 1, (samples,)."""
    count = samples_of(duration_s)
    time = (np.arange(count) + 0.5) / count
    tremble = 0.012 * np.sin(2 * np.pi * (rng.uniform(3, 7) * duration_s * time + rng.random()))
    pitch = hz * (1 + rng.uniform(-drift, drift) * time + tremble)
    phase = 2 * np.pi * (np.cumsum(pitch) / SAMPLE_RATE_HZ + rng.random())
    sound = np.sin(phase)
    for multiple, level in enumerate(overtones, start=2):
        sound = sound + level * np.sin(multiple * phase)
    return sound * window(count, count // 5, count // 3)


def place(track: np.ndarray, start_s: float, sound: np.ndarray, kind: str) -> list[Event]:
    """Adds a sound to a track and gives its event, cut to the clip; none if too little of it would be heard."""
    start = round(start_s * SAMPLE_RATE_HZ)
    first, last = max(start, 0), min(start + len(sound), len(track))
    if last - first < min(SHORTEST_HEARD_S * SAMPLE_RATE_HZ, len(sound)):
        return []
    track[first:last] += sound[first - start : last - start]
    return [Event(first / SAMPLE_RATE_HZ, last / SAMPLE_RATE_HZ, kind)]


def wheezes(
    rng: np.random.Generator, breaths: list[Breath], samples: int, level_db: float, *, voices: int, early: float = 0.0
) -> Sound:
    """A wheeze in each expiration, of `voices` tones at once (1: monophonic; more: polyphonic, unrelated in pitch).

    `early`: share of inspiration before expiration in which it may already begin. One event is one wheeze.
    """
    low, high = np.log(WHEEZE_HZ)
    if voices == 1:
        pitches = np.exp(rng.uniform(low, high, 1))
    else:
        # Spread over the range, so that no two tones melt into one.
        cells = (np.arange(voices) + rng.uniform(0.15, 0.85, voices)) / voices
        pitches = np.exp(low + (high - low) * cells)
    overtones = (rng.uniform(0.0, 0.35), rng.uniform(0.0, 0.12))
    shares = amplitude(rng.uniform(-6, 0, voices)) / np.sqrt(voices)
    track, events = np.zeros(samples), []
    for breath in breaths:
        start_s = breath.inspiration_end_s + rng.uniform(0.0, 0.25) * breath.expiration_s
        start_s -= early * rng.uniform(0.3, 1.0) * breath.inspiration_s
        length_s = max(WHEEZE_LEAST_S, rng.uniform(0.35, 0.9) * (breath.expiration_end_s - start_s))
        sound = sum(
            share * tone(rng, length_s, hz * rng.uniform(0.96, 1.04), overtones)
            for share, hz in zip(shares, pitches, strict=True)
        )
        events += place(track, start_s, amplitude(level_db) * sound, "wheeze")
    return track, events


def rhonchi(rng: np.random.Generator, breaths: list[Breath], samples: int, level_db: float) -> Sound:
    """A rhonchus in each expiration: 0.25 s or longer, low, snoring (pulses at its pitch, fluttering in loudness)."""
    hz = rng.uniform(*RHONCHUS_HZ)
    overtones = tuple(rng.uniform(0.3, 1.0) / k for k in range(1, 6))
    track, events = np.zeros(samples), []
    for breath in breaths:
        start_s = breath.inspiration_end_s + rng.uniform(0.0, 0.2) * breath.expiration_s
        length_s = max(0.25, rng.uniform(0.4, 0.9) * (breath.expiration_end_s - start_s))
        sound = tone(rng, length_s, hz * rng.uniform(0.95, 1.05), overtones)
        time_s = np.arange(len(sound)) / SAMPLE_RATE_HZ
        flutter = 1 + 0.5 * np.sin(2 * np.pi * (rng.uniform(12, 25) * time_s + rng.random()))
        events += place(track, start_s, 0.6 * amplitude(level_db) * sound * flutter, "rhonchus")
    return track, events


def stridor(rng: np.random.Generator, breaths: list[Breath], samples: int, level_db: float) -> Sound:
    """Stridor through the most of each inspiration: one loud pitch above 500 Hz with overtones that fall slowly."""
    hz = rng.uniform(*STRIDOR_HZ)
    overtones = tuple(rng.uniform(0.3, 0.8) / k for k in range(1, 4))
    track, events = np.zeros(samples), []
    for breath in breaths:
        start_s = breath.start_s + rng.uniform(0.05, 0.3) * breath.inspiration_s
        length_s = rng.uniform(0.5, 0.95) * (breath.inspiration_end_s - start_s)
        # The drift goes up or down by less than would carry the lowest pitch below 500 Hz.
        sound = tone(rng, max(length_s, 0.15), hz * rng.uniform(1.0, 1.05), overtones, drift=0.02)
        events += place(track, start_s, amplitude(level_db) * sound, "stridor")
    return track, events
