"""Whether clips are varied, and none of them a training recording again; distances are between embeddings."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from resp_agent.errors import UserError

NEAREST_PERCENT = 1.0
"""Percentile of real nearest distances below which a clip counts as memorised."""


def distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(N1, N2) Euclidean distances of (N1, D) and (N2, D), float64."""
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    # Shared centre: squares of large coordinates would eat the digits of small differences.
    centre = other.mean(0)
    one, other = one - centre, other - centre
    squares = np.square(one).sum(1)[:, None] + np.square(other).sum(1) - 2 * one @ other.T
    return np.sqrt(np.maximum(squares, 0))


def pairwise_distance(embeddings: np.ndarray) -> float:
    """Mean distance of all pairs of (N, D), N at least 2."""
    count = len(embeddings)
    return float(distances(embeddings, embeddings).sum() / (count * (count - 1)))


def diversity(
    clips: np.ndarray, requests: Sequence[object], real: np.ndarray, real_requests: Sequence[object]
) -> float | None:
    """Mean pairwise distance within a request, over that of real recordings of the same label and style.

    1 is as varied as real ones. Requests of less than two clips or two real recordings are left out.

    Args:
        clips: (N, D); `requests` says what each was asked for, as (label, style).
        real: (R, D); `real_requests` what each is.

    Returns:
        None where no request is left.
    """
    ours, theirs = _grouped(clips, requests), _grouped(real, real_requests)
    shared = [key for key in ours if key in theirs]
    if not shared:
        return None
    within = [[pairwise_distance(part[key]) for key in shared] for part in (ours, theirs)]
    return float(np.mean(within[0]) / np.mean(within[1]))


@dataclass(frozen=True)
class Memorisation:
    """How near clips come to training recordings, against how near those come to each other."""

    ratio: float
    """Median distance of a clip to its nearest training recording, over the median of training recordings to their
    nearest other one."""
    share: float
    """Share of clips that are nearer than 99 % of training recordings are. Of new real recordings it is near 0.01."""
    closest: float
    """Distance of the nearest clip of all, as a multiple of the distance below which clips count as memorised."""


def memorisation(clips: np.ndarray, train: np.ndarray) -> Memorisation:
    """Of (N, D) clips and (R, D) training recordings.

    Raises:
        UserError: there are fewer than two training recordings.
    """
    if len(train) < 2:
        raise UserError(f"memorisation is told by distances between training recordings, and there is {len(train)}")
    between = distances(train, train)
    np.fill_diagonal(between, np.inf)
    real, ours = between.min(1), distances(clips, train).min(1)
    least = np.percentile(real, NEAREST_PERCENT)
    return Memorisation(
        float(np.median(ours) / np.median(real)), float((ours < least).mean()), float(ours.min() / max(least, 1e-12))
    )


def _grouped(embeddings: np.ndarray, requests: Sequence[object]) -> dict[object, np.ndarray]:
    """Request -> its (N, D), where N is at least 2."""
    rows: dict[object, list[int]] = {}
    for row, request in enumerate(requests):
        rows.setdefault(request, []).append(row)
    return {request: embeddings[own] for request, own in rows.items() if len(own) > 1}
