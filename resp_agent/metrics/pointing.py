"""The pointing game (Zhang et al., "Top-down neural attention by excitation backprop", IJCV 2018), in time.

A recording is a hit if the moment that a model finds most relevant lies in an event or within a tolerance of one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score

from resp_agent.corpus.schema import Event

TOLERANCE_S = 0.08
_Z95 = 1.959963984540054


@dataclass(frozen=True)
class Pointed:
    """What pointing says of a set of recordings and one sound. Shares are 0 to 1; NaN where nothing holds the sound."""

    recordings: int
    """That hold the sound: only they are played."""
    patients: int
    """That they are of."""
    hit: float
    """Share of hits."""
    interval: tuple[float, float]
    """95 % interval of it; see `wilson`. Its trials are patients, for recordings of one are alike."""
    chance: float
    """Expected share of hits of a moment drawn evenly from each recording's anchors."""
    average_precision: float
    """Of single anchors, over all recordings: area under precision against recall."""
    prevalence: float
    """Share of anchors in an event: the average precision of a relevance that says nothing."""


def near_event(seconds: np.ndarray, events: Sequence[Event], tolerance_s: float = TOLERANCE_S) -> np.ndarray:
    """(A,) bool: which moments (A,) lie in an event or at most `tolerance_s` from one."""
    near = np.zeros(len(seconds), bool)
    for event in events:
        # A nanosecond, so that a tolerance counts as kept where binary fractions of a second do not.
        near |= (seconds >= event.start_s - tolerance_s - 1e-9) & (seconds <= event.end_s + tolerance_s + 1e-9)
    return near


def hit(relevance: np.ndarray, near: np.ndarray) -> float:
    """1 if the most relevant moment is near an event, 0 if not; among equals, the share of them that is.

    Args:
        relevance: (A,) of each moment.
        near: (A,) as `near_event` gives it.
    """
    return float(near[relevance == relevance.max()].mean())


def wilson(share: float, trials: int) -> tuple[float, float]:
    """The 95 % score interval of a share of so many trials (Wilson 1927)."""
    if trials == 0:
        return float("nan"), float("nan")
    centre = (share + _Z95**2 / (2 * trials)) / (1 + _Z95**2 / trials)
    spread = _Z95 / (1 + _Z95**2 / trials) * np.sqrt(share * (1 - share) / trials + _Z95**2 / (4 * trials**2))
    return max(float(centre - spread), 0.0), min(float(centre + spread), 1.0)


def play(
    seconds: Sequence[np.ndarray],
    relevance: Sequence[np.ndarray],
    events: Sequence[Sequence[Event]],
    patients: Sequence[str],
    tolerance_s: float = TOLERANCE_S,
) -> Pointed:
    """The game over recordings.

    Args:
        seconds: of each recording, the (A,) centres of its anchors.
        relevance: of each, (A,) numbers on one scale for all.
        events: of each, those of the sound asked for; none where it is not heard.
        patients: of each, whose it is.
    """
    played = [at for at, own in enumerate(events) if own]
    inside = [near_event(moments, own, 0.0) for moments, own in zip(seconds, events, strict=True)]
    near = {at: near_event(seconds[at], events[at], tolerance_s) for at in played}
    share = float(np.mean([hit(relevance[at], near[at]) for at in played])) if played else float("nan")
    whose = len({patients[at] for at in played})
    truth = np.concatenate(inside) if inside else np.zeros(0, bool)
    precise = average_precision_score(truth, np.concatenate(relevance)) if truth.any() else float("nan")
    return Pointed(
        recordings=len(played),
        patients=whose,
        hit=share,
        interval=wilson(share, whose),
        chance=float(np.mean([near[at].mean() for at in played])) if played else float("nan"),
        average_precision=float(precise),
        prevalence=float(truth.mean()) if len(truth) else float("nan"),
    )
