"""Scores against slow plain versions of themselves; the interval over patients is tested with the Judge."""

import numpy as np
import pytest

from resp_agent.metrics.classification import calibration_error, tail_f1, tail_labels


@pytest.mark.parametrize("seed", range(3))
def test_calibration_error_is_that_of_the_definition(seed):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(4) * 0.3, size=200)
    truth = rng.integers(4, size=200)
    expected = 0.0
    for low in range(10):
        inside = [row for row in range(200) if low / 10 < probabilities[row].max() <= (low + 1) / 10]
        if inside:
            accuracy = np.mean([probabilities[row].argmax() == truth[row] for row in inside])
            confidence = np.mean([probabilities[row].max() for row in inside])
            expected += len(inside) / 200 * abs(accuracy - confidence)
    assert calibration_error(probabilities, truth, bins=10) == pytest.approx(expected)


def test_calibration_error_of_the_certain():
    certain = np.eye(2)[[0, 0, 1, 1]]
    assert calibration_error(certain, np.array([0, 0, 1, 1])) == 0
    assert calibration_error(certain, np.array([0, 1, 1, 0])) == pytest.approx(0.5)


def test_the_tail_is_the_rarest_labels_in_training_that_the_split_holds():
    counts = (100, 3, 0, 50, 3, 1)
    assert tail_labels(counts, 3).tolist() == [5, 4, 1]
    assert tail_labels(counts).tolist() == [5, 4, 1, 3, 0]
    f1 = np.array([0.9, 0.1, 0.7, 0.8, 0.3, 0.5])
    held = np.array([True, True, True, True, True, False])
    assert tail_f1(f1, held, counts, 3) == pytest.approx(0.2)
    assert tail_f1(f1, np.zeros(6, bool), counts) is None
