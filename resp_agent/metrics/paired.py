"""Differences between two things that were measured on the same seeds."""

from collections.abc import Sequence

import numpy as np
from scipy import stats


def paired(gaps: Sequence[float] | np.ndarray) -> tuple[float, tuple[float, float]]:
    """The mean of (N,) differences, N at least 2, and its 95 % interval (Student's t)."""
    gaps = np.asarray(gaps, float)
    half = stats.t.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / np.sqrt(len(gaps))
    return float(gaps.mean()), (float(gaps.mean() - half), float(gaps.mean() + half))
