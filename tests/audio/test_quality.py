"""Levels against analytic cases, and each reason to refuse at both sides of its threshold."""

from dataclasses import replace

import numpy as np
import pytest

from resp_agent.audio import quality as q
from resp_agent.settings import QualitySettings
from tests.audio.waves import noise, tone

WANTED = QualitySettings()


def refused(waveform: np.ndarray, wanted: QualitySettings = WANTED) -> str | None:
    return q.refusal(q.quality(waveform), len(waveform) / 16_000, wanted)


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
    assert (refused(waveform) is not None) == (expected >= WANTED.mostly_clipped)


def test_an_offset_is_no_sound():
    assert q.quality(np.full(16_000, 0.25, np.float32))["rms_db"] < WANTED.silent_db
    assert "silent" in refused(np.full(16_000, 0.25, np.float32))


def test_nothing_has_the_floor_for_a_level():
    assert q.quality(np.zeros(0, np.float32)) == {"peak_db": q.FLOOR_DB, "rms_db": q.FLOOR_DB, "clipped_share": 0.0}


@pytest.mark.parametrize(
    ("waveform", "word"),
    [
        (noise(0, WANTED.shortest_s - 0.001), "short"),
        (noise(0, WANTED.shortest_s), None),
        (noise(0, amplitude=0.8e-4), "silent"),
        (noise(0, amplitude=1.2e-4), None),
        (np.sign(noise(0)), "clipped"),
    ],
)
def test_refusals(waveform, word):
    reason = refused(waveform.astype(np.float32))
    assert (reason is None) if word is None else (word in reason)


def test_every_threshold_is_a_setting():
    sound = noise(0, 1.0, amplitude=0.3)
    for changed, word in (
        ({"shortest_s": 2.0}, "at least 2 s"),
        ({"silent_db": -1.0}, "silent"),
        ({"mostly_clipped": 0.0}, "clipped"),
    ):
        assert word in refused(sound, replace(WANTED, **changed))
    assert refused(sound) is None
