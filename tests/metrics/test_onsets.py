import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resp_agent.corpus.schema import Event
from resp_agent.metrics.onsets import crackle_onsets_s, energy_envelope, onset_errors_ms, summary
from resp_agent.randomness import stream


def crackles(at_ms: list[int], noise: float = 0.001) -> np.ndarray:
    """Two seconds with a crackle, 4 ms of a decaying 600 Hz tone, at each time."""
    waveform = noise * stream("crackles").standard_normal(32_000)
    time_s = np.arange(160) / 16_000
    for start_ms in at_ms:
        waveform[16 * start_ms : 16 * start_ms + 160] += np.sin(2 * np.pi * 600 * time_s) * np.exp(-time_s / 0.003)
    return waveform


@given(st.integers(-20, 20))
def test_a_moved_crackle_is_off_by_what_it_was_moved(moved_ms):
    errors = onset_errors_ms(crackles([500]), crackles([500 + moved_ms]), [0.5])
    assert abs(errors[0] - abs(moved_ms)) <= 1


def test_each_crackle_has_its_own_error_whatever_the_level():
    errors = onset_errors_ms(crackles([300, 900, 1500]), 0.2 * crackles([300, 907, 1488], 0.0), [0.3, 0.9, 1.5])
    np.testing.assert_allclose(errors, [0, 7, 12], atol=1)


def test_the_envelope_is_centred_and_ignores_what_is_low():
    rumble = np.sin(2 * np.pi * 40 * np.arange(32_000) / 16_000)
    with_rumble = energy_envelope(crackles([700], 0.0) + rumble)
    assert abs(int(np.argmax(with_rumble)) - int(np.argmax(energy_envelope(crackles([700], 0.0))))) <= 1
    assert 698 <= int(np.argmax(with_rumble)) <= 704


def test_runs_of_crackles_begin_once():
    events = [Event(0.1, 0.2, "fine crackle"), Event(0.2, 0.3, "wheeze + crackle"), Event(0.5, 0.9, "wheeze")]
    assert crackle_onsets_s([*events, Event(0.6, 0.7, "coarse crackle")]) == [0.1, 0.6]


def test_what_they_come_to():
    told = summary(np.array([0.0, 4.0, 8.0, 30.0]))
    assert (told.events, told.median_ms, told.within_5_ms, told.within_10_ms) == (4, 6.0, 0.5, 0.75)
    assert np.isnan(summary(np.array([])).median_ms)


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="cannot be compared"):
        onset_errors_ms(np.zeros(10), np.zeros(11), [])
    with pytest.raises(ValueError, match="lie outside"):
        onset_errors_ms(np.zeros(16_000), np.zeros(16_000), [1.5])
