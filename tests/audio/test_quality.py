"""Levels against analytic cases, and each reason to refuse at both sides of its threshold."""

import numpy as np
import pytest

from resp_agent.audio import quality as q
from tests.audio.waves import noise, tone


def test_levels_of_a_sine_are_the_analytic_ones():
    level = q.quality(tone(hz=400, amplitude=0.5))
    assert level["peak_db"] == pytest.approx(20 * np.log10(0.5), abs=1e-3)
    assert level["rms_db"] == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=1e-3)
    assert level["clipped_share"] == 0


@pytest.mark.parametrize("gain", [1.1, 1.3, 1.5, 3.0])
def test_clipped_share_of_an_overdriven_sine_is_the_analytic_one(gain):
    waveform = tone(hz=37, amplitude=gain).clip(-1, 1)
    expected = 1 - 2 / np.pi * np.arcsin(q.FULL_SCALE / gain)
    assert q.quality(waveform)["clipped_share"] == pytest.approx(expected, abs=0.003)
    assert (q.refusal(waveform, 16_000) is not None) == (expected >= q.MOSTLY_CLIPPED)


def test_an_offset_is_no_sound():
    assert q.quality(np.full(16_000, 0.25, np.float32))["rms_db"] < q.SILENT_DB
    assert "silent" in q.refusal(np.full(16_000, 0.25, np.float32), 16_000)


def test_nothing_has_the_floor_for_a_level():
    assert q.quality(np.zeros(0, np.float32)) == {"peak_db": q.FLOOR_DB, "rms_db": q.FLOOR_DB, "clipped_share": 0.0}


@pytest.mark.parametrize(
    ("waveform", "rate_hz", "word"),
    [
        (noise(0, q.SHORTEST_S - 0.001), 8_000, "short"),
        (noise(0, q.SHORTEST_S), 8_000, None),
        (noise(0, amplitude=0.8e-4), 8_000, "silent"),
        (noise(0, amplitude=1.2e-4), 8_000, None),
        (noise(0), q.LOWEST_RATE_HZ - 1, "rate"),
        (noise(0), q.LOWEST_RATE_HZ, None),
        (noise(0), q.HIGHEST_RATE_HZ + 1, "rate"),
        (np.where(np.arange(16_000) == 7, np.nan, noise(0)), 8_000, "finite"),
        (np.where(np.arange(16_000) == 7, -np.inf, noise(0)), 8_000, "finite"),
        (np.sign(noise(0)), 8_000, "clipped"),
    ],
)
def test_refusals(waveform, rate_hz, word):
    reason = q.refusal(waveform.astype(np.float32), rate_hz)
    assert (reason is None) if word is None else (word in reason)
