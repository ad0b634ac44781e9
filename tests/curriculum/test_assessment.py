from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

from tests.curriculum.scores import assessment

CASES = [(0, ()), (1, ()), (2, (0,)), (3, (1, 4))]


@pytest.mark.parametrize(("seed", "unheld"), CASES)
def test_scores_are_those_of_scikit_learn_over_the_labels_held(seed, unheld):
    scored = assessment(seed, unheld=unheld)
    truth, predicted = scored.truth, scored.probabilities.argmax(axis=1)
    held = sorted(set(truth))
    assert list(np.flatnonzero(scored.held)) == held == [label for label in range(5) if label not in unheld]
    options = {"labels": held, "zero_division": 0.0}
    assert scored.macro_f1 == pytest.approx(f1_score(truth, predicted, average="macro", **options), abs=1e-12)
    assert scored.accuracy == pytest.approx(accuracy_score(truth, predicted), abs=1e-12)
    for name, score in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
        np.testing.assert_allclose(scored.by_label[name][held], score(truth, predicted, average=None, **options))
    assert scored.by_label["recall"][list(unheld)].tolist() == [0.0] * len(unheld)


@pytest.mark.parametrize(("seed", "unheld"), CASES)
def test_confidence_and_confusion_against_a_loop(seed, unheld):
    scored = assessment(seed, unheld=unheld)
    confusion, given = np.zeros((5, 5), int), [[] for _ in range(5)]
    for truth, probabilities in zip(scored.truth, scored.probabilities, strict=True):
        confusion[truth, np.argmax(probabilities)] += 1
        given[truth].append(probabilities[truth])
    np.testing.assert_array_equal(scored.confusion, confusion)
    expected = [np.mean(values) if values else 0.0 for values in given]
    np.testing.assert_allclose(scored.by_label["confidence"], expected)


@pytest.mark.parametrize(("seed", "unheld"), CASES)
def test_cells_against_a_loop(seed, unheld):
    scored = assessment(seed, unheld=unheld)
    cells = scored.by_cell()
    entropies = -(scored.probabilities * np.log(scored.probabilities)).sum(axis=1) / np.log(5)
    for style in range(3):
        here = np.flatnonzero(scored.style == style)
        for label in range(5):
            cell = [index for index in here if scored.truth[index] == label]
            if cell:
                f1 = f1_score(scored.truth[here] == label, scored.predicted[here] == label, zero_division=0.0)
                expected = f1, scored.probabilities[cell, label].mean(), entropies[cell].mean(), len(cell) / 60
            else:
                own = scored.truth == label
                by_label = scored.by_label
                stand_in = entropies[own].mean() if own.any() else 0.0
                expected = by_label["f1"][label], by_label["confidence"][label], stand_in, 0.0
            found = [cells[name][label, style] for name in ("f1", "confidence", "entropy", "share")]
            np.testing.assert_allclose(found, expected, atol=1e-12)
    assert cells["share"].sum() == pytest.approx(1.0)


def test_soft_macro_f1_is_macro_f1_when_nothing_is_in_doubt_and_counts_doubt_otherwise():
    scored = assessment(5, unheld=(3,))
    certain = replace(scored, probabilities=np.eye(5)[scored.predicted])
    assert certain.soft_macro_f1 == pytest.approx(scored.macro_f1, abs=1e-12)
    scores = []
    for label in (0, 1, 2, 4):
        own = scored.probabilities[scored.truth == label, label].sum()
        others = scored.probabilities[scored.truth != label, label].sum()
        missed = (1 - scored.probabilities[scored.truth == label, label]).sum()
        scores.append(2 * own / (2 * own + others + missed))
    assert scored.soft_macro_f1 == pytest.approx(np.mean(scores), abs=1e-12)


def test_a_perfect_diagnoser_and_one_that_knows_nothing():
    scored = assessment(6)
    perfect = replace(scored, probabilities=np.eye(5)[scored.truth])
    assert perfect.macro_f1 == perfect.soft_macro_f1 == perfect.accuracy == 1.0
    assert perfect.by_cell()["entropy"].max() == 0.0
    blank = replace(scored, probabilities=np.full((60, 5), 0.2))
    assert blank.by_cell()["entropy"] == pytest.approx(1.0)
    assert blank.macro_f1 == pytest.approx(f1_score(scored.truth, np.zeros(60, int), average="macro"))


def test_equal_is_equal_bit_for_bit_in_every_field():
    scored = assessment(7)
    assert scored == assessment(7)
    assert scored != assessment(8)
    assert scored != replace(scored, probabilities=np.nextafter(scored.probabilities, 1))
    assert scored != replace(scored, losses=())
    assert scored != "an assessment"
