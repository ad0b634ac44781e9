import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from resp_agent.corpus.schema import SAMPLE_RATE_HZ
from resp_agent.simulation import breath
from resp_agent.simulation.signals import frequencies


@given(seed=st.integers(0, 2**32), duration_s=st.floats(1, 20))
def test_breaths_cover_the_clip_without_gaps_in_cycles_of_2_to_5_s(seed, duration_s):
    breaths = breath.breathing(np.random.default_rng(seed), duration_s)
    assert breaths[0].start_s <= 0
    assert breaths[-1].end_s >= duration_s
    for one, following in itertools.pairwise(breaths):
        assert one.end_s == following.start_s
    for one in breaths:
        assert one.start_s < one.inspiration_end_s < one.expiration_end_s < one.end_s
        assert 2.0 * 0.95 <= one.end_s - one.start_s <= 5.0 * 1.05


def test_vesicular_breathing_is_low_and_louder_in_inspiration_than_in_expiration_and_pause():
    breaths = [breath.Breath(0.0, 1.6, 3.0, 4.0)]
    sound = np.mean(
        [breath.vesicular(np.random.default_rng(seed), breaths, 4 * SAMPLE_RATE_HZ) ** 2 for seed in range(8)], axis=0
    )
    inspired, expired, pause = np.split(sound, [round(1.6 * SAMPLE_RATE_HZ), 3 * SAMPLE_RATE_HZ])
    assert inspired.mean() > 1.5 * expired.mean()
    assert pause.max() == 0
    one = breath.vesicular(np.random.default_rng(1), breaths, 4 * SAMPLE_RATE_HZ)
    power, hz = np.abs(np.fft.rfft(one)) ** 2, frequencies(len(one))
    assert power[(hz > 60) & (hz < 1000)].sum() > 0.9 * power.sum()


def test_the_heart_beats_below_150_hz():
    sound = breath.heart(np.random.default_rng(0), 3 * SAMPLE_RATE_HZ)
    power, hz = np.abs(np.fft.rfft(sound)) ** 2, frequencies(len(sound))
    assert power[hz < 150].sum() > 0.99 * power.sum() > 0
