"""What each request of a round was worth: the round's reward, shared out so that the shares sum to it."""

from collections.abc import Sequence

import numpy as np

from resp_agent.curriculum.assessment import Assessment
from resp_agent.curriculum.request import Request


def credits_of(before: Assessment, after: Assessment, requests: Sequence[Request], soft: bool = False) -> list[float]:
    """The gain in macro-F1 over a round, by request; sums to the gain exactly. [] where nothing was asked for.

    Macro-F1 is a mean over labels, so its gain is a sum over labels. A label's part goes to the requests of that label
    by their clips, and more of it to those in whose style the diagnoser's confidence in the label has grown more than
    in the others asked for: by the growth, as a share of the label's validation recordings. The parts of labels that
    nobody asked for go to all requests by their clips.

    Args:
        before: on validation, before the round.
        after: on validation, after it.
        requests: those of the round.
        soft: whether the score is the soft macro-F1.
    """
    if not requests:
        return []
    held = after.held
    gain = (_label_f1(after, soft) - _label_f1(before, soft)) * held / held.sum()
    clips = np.array([request.count for request in requests], float)
    label = np.array([after.labels.index(request.label) for request in requests])
    style = np.array([after.styles.index(request.style) for request in requests])
    unasked = np.setdiff1d(np.flatnonzero(held), label)
    worth = gain[unasked].sum() * clips / clips.sum()
    grown = _growth_by_cell(before, after) / held.sum()
    for asked in np.unique(label):
        own = label == asked
        share = clips[own] / clips[own].sum()
        # Clips of one cell share what was grown there.
        in_cell = np.array([clips[own & (style == s)].sum() for s in style[own]])
        growth = grown[asked, style[own]] * clips[own] / in_cell
        worth[own] += gain[asked] * share + growth - growth.sum() * share
    return worth.tolist()


def _label_f1(assessment: Assessment, soft: bool) -> np.ndarray:
    return assessment.soft_f1 if soft else assessment.by_label["f1"]


def _growth_by_cell(before: Assessment, after: Assessment) -> np.ndarray:
    """(C, S) growth of confidence in the true label, times the cell's share of the label's recordings."""
    here, there = before.by_cell(), after.by_cell()
    of_label = there["share"].sum(axis=1, keepdims=True)
    return (there["confidence"] - here["confidence"]) * there["share"] / np.maximum(of_label, 1e-12)
