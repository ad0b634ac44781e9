"""Short and noisy adventitious sounds: crackles, cough, pleural rub. Levels are in dB of peak against inspiration.

Facts are from Bohadana, Izbicki and Kraman, "Fundamentals of lung auscultation" (NEJM 2014), the CORSA definitions
(Sovijarvi et al., Eur Respir Rev 2000), and Korpas, Sadlonova and Vrabec on cough sounds (Pulm Pharmacol 1996).
"""

import numpy as np

from resp_agent.corpus.schema import SAMPLE_RATE_HZ, Event
from resp_agent.simulation.breath import Breath
from resp_agent.simulation.signals import amplitude, frequencies, high_pass, low_pass, mix, noise, samples_of, window

FINE_MS, FINE_HZ = (4.0, 6.5), (550.0, 780.0)
"""Fine crackle: about 5 ms and 650 Hz, in late inspiration."""
COARSE_MS, COARSE_HZ = (12.0, 18.0), (280.0, 420.0)
"""Coarse crackle: about 15 ms and 350 Hz, in early inspiration and in expiration."""
CHIRP_EXPONENT = 0.705
"""Makes the first half wave (IDW) the shortest: log(.25) / log(IDW / 2CD) with IDW / 2CD = .14, ATS 1977."""
CRACKLE_SPREAD_DB = 4.0
"""Standard deviation between crackles of a recording."""
RUB_BURST_MS, RUB_HZ = (15.0, 40.0), (120.0, 350.0)
"""Each grating stroke of a pleural rub: longer than 15 ms, mostly below 350 Hz, in both phases."""

Sound = tuple[np.ndarray, list[Event]]


def crackle(duration_ms: float, hz: float) -> np.ndarray:
    """One crackle of unit peak: a chirp that starts abruptly and widens, sin(2 pi c t^a) under a skewed bell.

    The waveform is that of Kiyokawa et al. (Chest 2001), with `c` cycles in place of two so that both
    the duration and the pitch at its height (t = 1/4) are as asked.
    """
    time = (np.arange(samples_of(duration_ms / 1000)) + 0.5) / samples_of(duration_ms / 1000)
    cycles = hz * duration_ms / 1000 / (CHIRP_EXPONENT * 0.25 ** (CHIRP_EXPONENT - 1))
    bell = 0.5 * (1 + np.cos(2 * np.pi * (np.sqrt(time) - 0.5)))
    sound = np.sin(2 * np.pi * cycles * time**CHIRP_EXPONENT) * bell
    return sound / np.abs(sound).max()


def crackles(
    rng: np.random.Generator, breaths: list[Breath], samples: int, level_db: float, *, fine: bool, density: float
) -> Sound:
    """Runs of crackles: fine in the last half of inspiration, coarse in its first half and at times in expiration.

    `density` is crackles a second within a run. One event is one run, from its first crackle to the end of its last.
    """
    (duration_ms, hz), kind = (
        ((FINE_MS, FINE_HZ), "fine crackle") if fine else ((COARSE_MS, COARSE_HZ), "coarse crackle")
    )
    own_ms, own_hz = rng.uniform(*duration_ms), rng.uniform(*hz)
    also_expired = not fine and rng.random() < 0.6
    track, events = np.zeros(samples), []
    for breath in breaths:
        if fine:
            runs = [(breath.start_s + rng.uniform(0.45, 0.6) * breath.inspiration_s, breath.inspiration_end_s)]
        else:
            runs = [(breath.start_s, breath.start_s + rng.uniform(0.45, 0.65) * breath.inspiration_s)]
            if also_expired:
                runs.append(
                    (breath.inspiration_end_s, breath.inspiration_end_s + rng.uniform(0.3, 0.7) * breath.expiration_s)
                )
        for start_s, end_s in runs:
            count = max(2, rng.poisson(density * (end_s - start_s)))
            starts = np.sort(rng.uniform(start_s, end_s, count))
            lengths = np.clip(own_ms * rng.uniform(0.9, 1.1, count), *duration_ms)
            pitches = np.clip(own_hz * rng.uniform(0.93, 1.07, count), *hz)
            peaks = amplitude(level_db + CRACKLE_SPREAD_DB * rng.standard_normal(count)) * rng.choice([-1, 1], count)
            whole = (starts >= 0) & (starts + lengths / 1000 <= samples / SAMPLE_RATE_HZ)
            for one in np.flatnonzero(whole):
                mix(track, starts[one], peaks[one] * crackle(lengths[one], pitches[one]))
            if whole.any():
                events.append(Event(starts[whole][0], (starts + lengths / 1000)[whole].max(), kind))
    return track, events


def coughs(rng: np.random.Generator, samples: int, level_db: float, per_s: float) -> Sound:
    """Coughs at any moment of the breath, at least one.

    Each has an explosive phase (30 to 60 ms of broad noise), an intermediate phase (100 to 250 ms of softer noise)
    and in about half a voiced phase (60 to 150 ms, a voice of 180 to 420 Hz).
    """
    duration_s = samples / SAMPLE_RATE_HZ
    track, events = np.zeros(samples), []
    voiced, voice_hz = rng.random() < 0.5, rng.uniform(180, 420)
    bright_hz = rng.uniform(900, 2400)
    first_s = rng.uniform(0, max(duration_s - 0.5, 0.01))
    count = 1 + rng.poisson(per_s * duration_s)
    starts = np.concatenate([[first_s], rng.uniform(0, max(duration_s - 0.2, 0.01), count - 1)])
    end_s = -1.0
    for start_s in np.sort(starts):
        if start_s < end_s + 0.05:
            continue
        parts = [rng.uniform(0.03, 0.06), rng.uniform(0.1, 0.25), rng.uniform(0.06, 0.15) if voiced else 0.0]
        sound = one_cough(rng, *parts, bright_hz, voice_hz)
        end_s = start_s + len(sound) / SAMPLE_RATE_HZ
        mix(track, start_s, amplitude(level_db + rng.uniform(-3, 3)) * sound)
        events.append(Event(start_s, min(end_s, duration_s), "cough"))
    return track, events


def one_cough(
    rng: np.random.Generator,
    explosive_s: float,
    intermediate_s: float,
    voiced_s: float,
    bright_hz: float,
    voice_hz: float,
) -> np.ndarray:
    """A cough of its three phases with a peak of about 1; `voiced_s` of 0 leaves the last one out."""
    burst, middle, voice = samples_of(explosive_s), samples_of(intermediate_s), samples_of(voiced_s)
    total = burst + middle + voice
    hz = frequencies(total)
    breathy = noise(rng, high_pass(hz, 150, 1) * low_pass(hz, bright_hz, 1.2), total)
    explosive = window(burst, samples_of(0.004), burst // 3)
    envelope = np.zeros(total)
    envelope[:burst] += explosive
    envelope[burst // 2 : burst + middle] += 0.35 * window(middle + burst - burst // 2, burst // 3, middle // 2)
    sound = 0.35 * breathy * envelope
    if voice:
        time_s = np.arange(voice) / SAMPLE_RATE_HZ
        phase = 2 * np.pi * voice_hz * (time_s - 0.15 * time_s**2 / voiced_s)
        tone = sum(np.sin(k * phase) / k for k in range(1, 7))
        sound[burst + middle :] += 0.3 * tone * window(voice, voice // 4, voice // 2)
    return sound


def pleural_rub(rng: np.random.Generator, breaths: list[Breath], samples: int, level_db: float) -> Sound:
    """Grating strokes, 8 to 18 a second, through the middle of inspiration and again in expiration.

    One event is one grating run, from its first stroke to the end of its last.
    """
    rate, centre_hz = rng.uniform(8, 18), rng.uniform(*RUB_HZ)
    track, events = np.zeros(samples), []
    for breath in breaths:
        for phase_s, length_s in (
            (breath.start_s, breath.inspiration_s),
            (breath.inspiration_end_s, breath.expiration_s),
        ):
            start_s = phase_s + rng.uniform(0.1, 0.3) * length_s
            strokes, time_s = [], start_s
            while time_s < start_s + rng.uniform(0.45, 0.65) * length_s:
                strokes.append(time_s)
                time_s += rng.uniform(0.6, 1.4) / rate
            heard = []
            for stroke_s in strokes:
                length = samples_of(rng.uniform(*RUB_BURST_MS) / 1000)
                hz = frequencies(length)
                grain = noise(rng, high_pass(hz, 0.6 * centre_hz, 2) * low_pass(hz, 1.3 * centre_hz, 2), length)
                grain *= 0.4 * window(length, samples_of(0.002), length // 2)
                grain *= amplitude(level_db + rng.uniform(-5, 5))
                if stroke_s >= 0 and stroke_s + length / SAMPLE_RATE_HZ <= samples / SAMPLE_RATE_HZ:
                    mix(track, stroke_s, grain)
                    heard.append((stroke_s, stroke_s + length / SAMPLE_RATE_HZ))
            if heard:
                events.append(Event(heard[0][0], max(end for _, end in heard), "rub"))
    return track, events
