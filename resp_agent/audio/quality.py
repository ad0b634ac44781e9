"""What a recording's level says about it, and when it is too poor to learn from."""

import math

import numpy as np

from resp_agent.settings import QualitySettings

FULL_SCALE = 0.999
"""Magnitude from which a sample counts as clipped."""
FLOOR_DB = -160.0
"""What stands for the level of nothing at all."""


def quality(waveform: np.ndarray) -> dict[str, float]:
    """Level of float audio, shape (samples,), full scale 1.

    Returns `peak_db` (largest magnitude), `rms_db` (about the mean, so that an offset is no sound), both in dB of full
    scale and at least `FLOOR_DB`, and `clipped_share` (samples at full scale, 0 to 1). Rounded to thousandths, so that
    the order in which a processor adds does not show.
    """
    if not len(waveform):
        return {"peak_db": FLOOR_DB, "rms_db": FLOOR_DB, "clipped_share": 0.0}
    peak = float(max(waveform.max(), -waveform.min()))
    about_mean = waveform - waveform.mean()
    power = float(np.dot(about_mean, about_mean)) / len(waveform)
    clipped = np.count_nonzero(np.abs(waveform) >= FULL_SCALE) / len(waveform) if peak >= FULL_SCALE else 0.0
    return {"peak_db": _db(peak), "rms_db": _db(power**0.5), "clipped_share": round(clipped, 6)}


def refusal(level: dict[str, float], duration_s: float, wanted: QualitySettings | None = None) -> str | None:
    """Why audio of a level (see `quality`) and length is not fit to learn from, in a few words; None if it is.

    Sample rate, channels and the longest duration are what `header.check_claims` looks at, before anything is decoded.
    """
    wanted = wanted or QualitySettings()
    if duration_s < wanted.shortest_s:
        return f"{duration_s:.2f} s is too short (at least {wanted.shortest_s:g} s)"
    if level["rms_db"] < wanted.silent_db:
        return f"it is silent ({level['rms_db']:.0f} dB, at least {wanted.silent_db:.0f} dB)"
    if level["clipped_share"] >= wanted.mostly_clipped:
        return f"it is mostly clipped ({level['clipped_share']:.0%} of its samples, below {wanted.mostly_clipped:.0%})"
    return None


def _db(amplitude: float) -> float:
    return round(max(20 * math.log10(amplitude), FLOOR_DB), 3) if amplitude > 0 else FLOOR_DB
