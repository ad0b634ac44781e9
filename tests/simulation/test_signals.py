import numpy as np
import pytest

from resp_agent.corpus.schema import SAMPLE_RATE_HZ
from resp_agent.simulation import signals


def test_filters_are_3_db_down_at_their_edge_and_fall_by_6_db_an_octave_and_order():
    hz = np.array([1000.0, 16_000.0, 32_000.0])
    edge, far, octave_further = 20 * np.log10(signals.low_pass(hz, 1000, 2))
    assert edge == pytest.approx(-3.01, abs=0.01)
    assert far - octave_further == pytest.approx(12.04, abs=0.01)
    mirrored = signals.high_pass(1e6 / hz, 1000, 2)
    np.testing.assert_allclose(mirrored, signals.low_pass(hz, 1000, 2))


def test_resonance_has_its_gain_at_its_centre_and_none_far_off():
    hz = np.array([0.0, 900.0, 8000.0])
    peak = signals.resonance(hz, 900, 4, 12)
    assert 20 * np.log10(peak[1]) == pytest.approx(12)
    assert peak[0] == pytest.approx(1, abs=1e-3)
    assert peak[2] == pytest.approx(1, abs=0.01)


def test_noise_has_unit_root_mean_square_and_lies_in_its_band():
    samples = 4 * SAMPLE_RATE_HZ
    hz = signals.frequencies(samples)
    band = ((hz > 500) & (hz < 1000)).astype(float)
    sound = signals.noise(np.random.default_rng(0), band, samples)
    power = np.abs(np.fft.rfft(sound)) ** 2
    assert np.sqrt(np.mean(sound**2)) == pytest.approx(1, abs=0.05)
    assert power[band == 0].sum() < 1e-12 * power.sum()


def test_a_sound_beyond_the_track_is_cut():
    track = np.zeros(SAMPLE_RATE_HZ)
    signals.mix(track, -1 / SAMPLE_RATE_HZ, np.array([1.0, 2.0]))
    signals.mix(track, 1 - 1 / SAMPLE_RATE_HZ, np.array([3.0, 4.0]))
    signals.mix(track, 2.0, np.array([5.0]))
    assert (track[0], track[-1], track.sum()) == (2.0, 3.0, 5.0)


def test_window_rises_to_a_plateau_and_falls():
    shape = signals.window(100, 10, 20)
    assert shape.max() == 1
    assert (np.diff(shape[:10]) > 0).all()
    assert (np.diff(shape[80:]) < 0).all()
    assert (shape[10:80] == 1).all()
