import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resp_agent.corpus.schema import SAMPLE_RATE_HZ
from resp_agent.simulation import tones
from resp_agent.simulation.breath import Breath

BREATHS = [Breath(0.2, 1.4, 2.6, 3.2)]
SAMPLES = 4 * SAMPLE_RATE_HZ


def spectrum(sound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE_HZ), np.abs(np.fft.rfft(sound)) ** 2


def strongest_hz(sound: np.ndarray) -> float:
    hz, power = spectrum(sound)
    return float(hz[power.argmax()])


@given(seed=st.integers(0, 2**32), hz=st.floats(100, 1000))
def test_a_tone_stays_near_its_pitch(seed, hz):
    assert strongest_hz(tones.tone(np.random.default_rng(seed), 0.4, hz, (0.2,))) == pytest.approx(hz, rel=0.16)


@pytest.mark.parametrize("seed", range(6))
def test_a_monophonic_wheeze_is_one_long_tone_of_expiration(seed):
    track, (event,) = tones.wheezes(np.random.default_rng(seed), BREATHS, SAMPLES, 0.0, voices=1)
    assert event.kind == "wheeze"
    assert event.end_s - event.start_s >= 0.1
    assert BREATHS[0].inspiration_end_s <= event.start_s < event.end_s <= BREATHS[0].expiration_end_s
    top = strongest_hz(track)
    assert 100 <= top <= 1100
    hz, power = spectrum(track)
    assert power[np.abs(hz - top) < 0.2 * top].sum() > 0.8 * power.sum()


@pytest.mark.parametrize("seed", range(6))
def test_a_polyphonic_wheeze_has_several_tones(seed):
    track, _ = tones.wheezes(np.random.default_rng(seed), BREATHS, SAMPLES, 0.0, voices=4)
    hz, power = spectrum(track)
    bands = np.exp(np.linspace(*np.log(tones.WHEEZE_HZ), 5))
    shares = np.array([power[(hz >= low) & (hz < high)].sum() for low, high in itertools.pairwise(bands)])
    assert (shares > 0.02 * shares.sum()).sum() >= 3


@pytest.mark.parametrize("seed", range(6))
def test_a_rhonchus_is_low_and_lasts(seed):
    track, (event,) = tones.rhonchi(np.random.default_rng(seed), BREATHS, SAMPLES, 0.0)
    assert event.kind == "rhonchus"
    assert event.end_s - event.start_s >= 0.25
    assert strongest_hz(track) < 300


@pytest.mark.parametrize("seed", range(6))
def test_stridor_is_above_500_hz_with_overtones_in_inspiration(seed):
    track, (event,) = tones.stridor(np.random.default_rng(seed), BREATHS, SAMPLES, 0.0)
    assert event.kind == "stridor"
    assert BREATHS[0].start_s <= event.start_s < event.end_s <= BREATHS[0].inspiration_end_s
    top = strongest_hz(track)
    assert 500 <= top <= 1000
    hz, power = spectrum(track)
    assert power[(hz > 1.9 * top) & (hz < 2.1 * top)].sum() > 0.02 * power.sum()


def test_a_tone_of_which_too_little_is_heard_leaves_neither_sound_nor_event():
    track = np.zeros(SAMPLES)
    assert tones.place(track, -0.95, np.ones(SAMPLE_RATE_HZ), "wheeze") == []
    assert not track.any()
    (event,) = tones.place(track, -0.5, np.ones(SAMPLE_RATE_HZ), "wheeze")
    assert (event.start_s, event.end_s) == (0.0, 0.5)
