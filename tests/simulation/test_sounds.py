import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resp_agent.corpus.schema import SAMPLE_RATE_HZ
from resp_agent.simulation import sounds
from resp_agent.simulation.breath import Breath

BREATHS = [Breath(0.2, 1.4, 2.6, 3.2), Breath(3.2, 4.4, 5.6, 6.2)]
SAMPLES = 7 * SAMPLE_RATE_HZ


def peak_hz(sound: np.ndarray) -> float:
    size = 1 << 16
    return float(np.abs(np.fft.rfft(sound, size)).argmax() * SAMPLE_RATE_HZ / size)


@pytest.mark.parametrize(
    ("lengths_ms", "pitches_hz"), [(sounds.FINE_MS, sounds.FINE_HZ), (sounds.COARSE_MS, sounds.COARSE_HZ)]
)
@given(where=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_crackle_has_the_duration_and_the_pitch_that_were_asked_for(lengths_ms, pitches_hz, where):
    duration_ms, hz = (low + w * (high - low) for w, (low, high) in zip(where, (lengths_ms, pitches_hz), strict=True))
    sound = sounds.crackle(duration_ms, hz)
    assert len(sound) / SAMPLE_RATE_HZ * 1000 == pytest.approx(duration_ms, abs=0.05)
    assert peak_hz(sound) == pytest.approx(hz, rel=0.2)
    assert np.abs(sound).max() == 1


def test_a_crackle_of_two_cycles_is_the_published_one():
    duration_ms = 10.0
    hz = 2 * sounds.CHIRP_EXPONENT * 0.25 ** (sounds.CHIRP_EXPONENT - 1) / (duration_ms / 1000)
    time = (np.arange(160) + 0.5) / 160
    published = np.sin(4 * np.pi * time ** (np.log(0.25) / np.log(0.14)))
    published *= 0.5 * (1 + np.cos(2 * np.pi * (time**0.5 - 0.5)))
    np.testing.assert_allclose(sounds.crackle(duration_ms, hz), published / np.abs(published).max(), atol=5e-3)


def test_fine_crackles_are_late_in_inspiration_and_higher_than_coarse_ones():
    tracks = {}
    for fine in (True, False):
        tracks[fine], events = sounds.crackles(np.random.default_rng(1), BREATHS, SAMPLES, 0.0, fine=fine, density=25.0)
        assert {event.kind for event in events} == {"fine crackle" if fine else "coarse crackle"}
        if fine:
            for event, breath in zip(events, BREATHS, strict=True):
                assert event.start_s >= breath.start_s + 0.4 * breath.inspiration_s
                assert event.end_s <= breath.inspiration_end_s + 0.01
        else:
            assert events[0].start_s < BREATHS[0].start_s + 0.5 * BREATHS[0].inspiration_s
    assert 500 < peak_hz(tracks[True]) < 850
    assert 220 < peak_hz(tracks[False]) < 480


def test_nothing_sounds_outside_the_events():
    rng = np.random.default_rng
    made = [
        sounds.crackles(rng(0), BREATHS, SAMPLES, 0.0, fine=True, density=25.0),
        sounds.crackles(rng(0), BREATHS, SAMPLES, 0.0, fine=False, density=15.0),
        sounds.coughs(rng(0), SAMPLES, 0.0, 0.4),
        sounds.pleural_rub(rng(0), BREATHS, SAMPLES, 0.0),
    ]
    for track, events in made:
        assert events
        silent = np.ones(SAMPLES, bool)
        for event in events:
            silent[int(event.start_s * SAMPLE_RATE_HZ) - 1 : int(event.end_s * SAMPLE_RATE_HZ) + 2] = False
            assert np.abs(track[~silent]).max() > 0
        assert np.abs(track[silent]).max() == 0


def test_a_cough_begins_with_its_loudest_phase_and_may_end_voiced():
    cough = sounds.one_cough(np.random.default_rng(0), 0.05, 0.2, 0.0, 1500, 250)
    assert len(cough) == SAMPLE_RATE_HZ // 4
    level = np.sqrt([np.mean(part**2) for part in np.array_split(cough, 5)])
    assert level.argmax() == 0
    assert level[-1] < 0.5 * level[0]
    voiced = sounds.one_cough(np.random.default_rng(0), 0.05, 0.2, 0.12, 1500, 250)
    assert peak_hz(voiced[SAMPLE_RATE_HZ // 4 :]) == pytest.approx(250, rel=0.2)


def test_a_rub_grates_below_500_hz_in_both_phases():
    track, events = sounds.pleural_rub(np.random.default_rng(3), BREATHS[:1], SAMPLES, 0.0)
    assert [event.kind for event in events] == ["rub", "rub"]
    assert events[0].end_s < BREATHS[0].inspiration_end_s <= events[1].start_s
    power = np.abs(np.fft.rfft(track)) ** 2
    hz = np.fft.rfftfreq(SAMPLES, 1 / SAMPLE_RATE_HZ)
    assert power[hz < 500].sum() > 0.8 * power.sum()
