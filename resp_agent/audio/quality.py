"""What a recording's level says about it, and when it is too poor to learn from."""

import numpy as np

from resp_agent.corpus.schema import SAMPLE_RATE_HZ

SHORTEST_S = 0.5
"""Recordings below this many seconds hold no breath."""
LONGEST_S = 900.0
"""Recordings above this many seconds are no auscultation of one site."""
LOWEST_RATE_HZ = 2_000
"""Below this even the lung's low sounds (to about 1 kHz) are lost."""
HIGHEST_RATE_HZ = 192_000
"""The highest rate of audio interfaces."""
FULL_SCALE = 0.999
"""Magnitude from which a sample counts as clipped."""
MOSTLY_CLIPPED = 0.5
"""Share of clipped samples from which a recording is refused; a sine driven 3 dB over full scale has it."""
SILENT_DB = -80.0
"""Level about its mean, in dB of full scale, below which a recording is silent: some three steps of 16-bit audio."""
FLOOR_DB = -160.0
"""What stands for the level of nothing at all."""


def quality(waveform: np.ndarray) -> dict[str, float]:
    """Level of float audio, shape (samples,), full scale 1.

    Returns `peak_db` (largest magnitude), `rms_db` (about the mean, so that an offset is no sound), both in dB of full
    scale and at least `FLOOR_DB`, and `clipped_share` (samples at full scale, 0 to 1).
    """
    magnitude = np.abs(waveform)
    return {
        "peak_db": _db(float(magnitude.max(initial=0.0))),
        "rms_db": _db(float(np.std(waveform, dtype=np.float64)) if len(waveform) else 0.0),
        "clipped_share": float(np.mean(magnitude >= FULL_SCALE)) if len(waveform) else 0.0,
    }


def refusal(waveform: np.ndarray, original_rate: int) -> str | None:
    """Why decoded audio (16 kHz, shape (samples,)) is not fit to learn from, in a few words; None if it is.

    `original_rate` is the sample rate of its file in Hz.
    """
    if not LOWEST_RATE_HZ <= original_rate <= HIGHEST_RATE_HZ:
        return f"a sample rate of {original_rate} Hz is implausible ({LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz)"
    duration_s = len(waveform) / SAMPLE_RATE_HZ
    if duration_s < SHORTEST_S:
        return f"{duration_s:.2f} s is too short (at least {SHORTEST_S} s)"
    if not np.isfinite(waveform).all():
        return "it holds samples that are not finite numbers"
    level = quality(waveform)
    if level["rms_db"] < SILENT_DB:
        return f"it is silent ({level['rms_db']:.0f} dB, at least {SILENT_DB:.0f} dB)"
    if level["clipped_share"] >= MOSTLY_CLIPPED:
        return f"it is mostly clipped ({level['clipped_share']:.0%} of its samples, below {MOSTLY_CLIPPED:.0%})"
    return None


def _db(amplitude: float) -> float:
    return max(20 * float(np.log10(amplitude)), FLOOR_DB) if amplitude > 0 else FLOOR_DB
