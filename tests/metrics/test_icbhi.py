"""Scores of respiratory cycles against counts made by hand."""

import numpy as np
import pytest

from resp_agent.metrics.icbhi import cycle_scores

CONFUSION = np.array(
    [
        [6, 1, 1, 0],
        [2, 3, 0, 1],
        [1, 0, 1, 0],
        [0, 1, 1, 2],
    ]
)
"""Rows are true: 8 normal, 6 crackle, 2 wheeze, 4 both."""


def test_scores_by_hand():
    scores = cycle_scores(CONFUSION, normal=0)
    assert scores.specificity == 6 / 8
    # An abnormal cycle of another abnormal class is wrong: 3 + 1 + 2 of 12.
    assert scores.sensitivity == 6 / 12
    assert scores.score == 0.625


def test_the_normal_class_may_stand_anywhere():
    order = [1, 2, 0, 3]
    assert cycle_scores(CONFUSION[np.ix_(order, order)], normal=2) == cycle_scores(CONFUSION, normal=0)


@pytest.mark.parametrize(("kept", "specificity", "sensitivity"), [([0], 0.75, None), ([1, 2, 3], None, 0.5)])
def test_what_is_undefined_is_none_and_not_0(kept, specificity, sensitivity):
    confusion = np.zeros_like(CONFUSION)
    confusion[kept] = CONFUSION[kept]
    scores = cycle_scores(confusion, normal=0)
    assert (scores.specificity, scores.sensitivity, scores.score) == (specificity, sensitivity, None)
