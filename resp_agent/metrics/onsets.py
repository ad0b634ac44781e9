"""Onset error of transients: how far copy-synthesis moves crackles in time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, sosfiltfilt

from resp_agent.corpus.schema import SAMPLE_RATE_HZ, Event

REACH_S = 0.03
"""How far from an onset its transient may lie."""
HIGH_PASS_HZ = 150.0
"""What is below says of heart and handling, not of crackles."""
WINDOW_MS, STEP_MS = 4, 1
"""Of the short-time energy."""
CLOSE_MS = (5, 10)
"""Errors up to which an onset counts as kept."""


@dataclass(frozen=True)
class OnsetErrors:
    """Errors of a set of events; NaN where there are none."""

    events: int
    median_ms: float
    within_5_ms: float
    """Share of events, 0 to 1."""
    within_10_ms: float
    """Share of events, 0 to 1."""


def energy_envelope(waveform: np.ndarray) -> np.ndarray:
    """(samples,) at 16 kHz to (ms,) energy above `HIGH_PASS_HZ`, in windows of 4 ms centred on every whole ms.

    The filter has no phase: it moves nothing.
    """
    step, window = SAMPLE_RATE_HZ * STEP_MS // 1000, SAMPLE_RATE_HZ * WINDOW_MS // 1000
    sections = butter(4, HIGH_PASS_HZ, "highpass", fs=SAMPLE_RATE_HZ, output="sos")
    power = np.square(sosfiltfilt(sections, np.asarray(waveform, np.float64)))
    sums = np.concatenate([[0.0], np.cumsum(np.pad(power, window // 2))])
    return np.maximum(sums[window:] - sums[:-window], 0)[: len(power) : step]


def onset_errors_ms(waveform: np.ndarray, copy: np.ndarray, onsets_s: Sequence[float]) -> np.ndarray:
    """(events,) ms between the peak of each event's transient in a recording and in its copy.

    A transient is the highest energy within 30 ms of the onset in the recording, and within 30 ms of that in the copy.

    Args:
        waveform: (samples,) the recording, at 16 kHz.
        copy: (samples,) what was made of it.
        onsets_s: when each event begins, in seconds.

    Raises:
        ValueError: the two are not of one length, or an onset lies outside of them.
    """
    if len(waveform) != len(copy):
        raise ValueError(f"a recording of {len(waveform)} samples cannot be compared with a copy of {len(copy)}")
    if any(not 0 <= onset_s <= len(waveform) / SAMPLE_RATE_HZ for onset_s in onsets_s):
        raise ValueError(f"onsets {list(onsets_s)} lie outside a recording of {len(waveform) / SAMPLE_RATE_HZ} s")
    true, made = energy_envelope(waveform), energy_envelope(copy)
    errors = []
    for onset_s in onsets_s:
        heard = _peak(true, round(onset_s * 1000 / STEP_MS))
        errors.append(abs(_peak(made, heard) - heard) * STEP_MS)
    return np.array(errors, float)


def crackle_onsets_s(events: Sequence[Event]) -> list[float]:
    """When runs of crackles begin, in seconds: events with crackles, those that touch counted as one."""
    runs = sorted((one.start_s, one.end_s) for one in events if "crackle" in one.kind)
    onsets, end_s = [], -np.inf
    for start_s, until_s in runs:
        # Microseconds apart: where a wheeze joins, one event ends and the next begins, and no crackle does.
        if start_s > end_s + 1e-5:
            onsets.append(start_s)
        end_s = max(end_s, until_s)
    return onsets


def summary(errors_ms: np.ndarray) -> OnsetErrors:
    """What (events,) errors in ms come to."""
    if len(errors_ms) == 0:
        return OnsetErrors(0, float("nan"), float("nan"), float("nan"))
    shares = [float((errors_ms <= limit_ms).mean()) for limit_ms in CLOSE_MS]
    return OnsetErrors(len(errors_ms), float(np.median(errors_ms)), *shares)


def _peak(envelope: np.ndarray, centre: int) -> int:
    reach = round(REACH_S * 1000 / STEP_MS)
    first = max(centre - reach, 0)
    return first + int(np.argmax(envelope[first : centre + reach + 1]))
