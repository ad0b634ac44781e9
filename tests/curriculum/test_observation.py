import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resp_agent.curriculum.assessment import Assessment
from resp_agent.curriculum.observation import layout, observe, scaled, unscaled


def assessment(truth, style, predicted, labels=3, styles=2, counts=None) -> Assessment:
    probabilities = np.full((len(truth), labels), 0.1)
    probabilities[np.arange(len(truth)), predicted] = 1 - 0.1 * (labels - 1)
    return Assessment(
        split="valid",
        labels=tuple("abcdefgh"[:labels]),
        styles=tuple("uvwxyz"[:styles]),
        ids=tuple(map(str, range(len(truth)))),
        truth=np.array(truth),
        style=np.array(style),
        probabilities=probabilities,
        train_counts=tuple(counts or range(labels * styles)),
    )


def test_by_hand():
    # Label 2 is not held; style 1 holds label 1 only.
    given = assessment(truth=[0, 0, 1, 1], style=[0, 0, 0, 1], predicted=[0, 1, 1, 2], counts=[20, 0, 60, 0, 0, 5])
    seen = observe(given, np.array([[0, 20], [0, 0], [180, 0]]), 0.25, -0.5)
    np.testing.assert_allclose(seen["label_precision"], [1, 0.5, 0])
    np.testing.assert_allclose(seen["label_recall"], [0.5, 0.5, 0])
    np.testing.assert_allclose(seen["label_f1"], [2 / 3, 0.5, 0], rtol=1e-6)
    np.testing.assert_allclose(seen["label_confidence"], [0.45, 0.45, 0], rtol=1e-6)
    np.testing.assert_array_equal(seen["label_held"], [1, 1, 0])
    np.testing.assert_allclose(seen["cell_share"], [[1, 0], [0.5, 0.5], [0, 0]] @ np.diag([0.5, 0.5]))
    # In style 0: label 0 has one hit of two, label 1 one hit and one false alarm. In style 1 label 1 is missed.
    np.testing.assert_allclose(seen["cell_f1"], [[2 / 3, 2 / 3], [2 / 3, 0], [0, 0]], rtol=1e-6)
    np.testing.assert_allclose(seen["cell_confidence"], [[0.45, 0.45], [0.8, 0.1], [0, 0]], rtol=1e-6)
    entropy = -(0.8 * np.log(0.8) + 0.2 * np.log(0.1)) / np.log(3)
    np.testing.assert_allclose(seen["cell_entropy"], [[entropy] * 2, [entropy] * 2, [0, 0]], rtol=1e-6)
    np.testing.assert_allclose(seen["confusion"], [[0.5, 0.5, 0], [0, 0.5, 0.5], [0, 0, 0]])
    np.testing.assert_allclose(seen["real_count"], [[0.5, 0], [0.75, 0], [0, 0.2]])
    np.testing.assert_allclose(seen["synthetic_count"], [[0, 0.5], [0, 0], [0.9, 0]])
    assert seen["budget_left"] == [0.25]
    assert seen["last_reward"] == [-0.5]


@given(st.data())
def test_every_array_is_as_laid_out(data):
    labels, styles = data.draw(st.integers(2, 6)), data.draw(st.integers(1, 4))
    size = data.draw(st.integers(1, 30))
    index = st.lists(st.integers(0, labels - 1), min_size=size, max_size=size)
    where = data.draw(st.lists(st.integers(0, styles - 1), min_size=size, max_size=size))
    scores = assessment(data.draw(index), where, data.draw(index), labels, styles, [3] * labels * styles)
    counts = np.full((labels, styles), data.draw(st.integers(0, 10**9)))
    seen = observe(scores, counts, data.draw(st.floats(0, 1)), data.draw(st.floats(-1, 1)))
    wanted = layout(labels, styles)
    assert list(seen) == list(wanted)
    for name, (shape, low, high) in wanted.items():
        assert seen[name].shape == shape
        assert seen[name].dtype == np.float32
        assert ((low <= seen[name]) & (seen[name] <= high)).all()


@given(st.integers(0, 10_000))
def test_counts_survive_scaling(count):
    assert unscaled(scaled(count).astype(np.float32)) == count


def test_scaling_is_monotone_and_bounded():
    values = scaled(np.array([0, 1, 20, 1000, 10**12]))
    assert (np.diff(values) > 0).all()
    assert values[0] == 0
    assert values[2] == 0.5
    assert values[-1] < 1


def test_what_does_not_fit_is_refused():
    scores = assessment([0, 1], [0, 1], [0, 1])
    with pytest.raises(ValueError, match="training counts"):
        observe(dataclasses.replace(scores, train_counts=(1, 2)), np.zeros((3, 2)), 1, 0)
    with pytest.raises(ValueError, match="synthetic_count"):
        observe(scores, np.zeros((2, 3)), 1, 0)
    with pytest.raises(ValueError, match="budget_left"):
        observe(scores, np.zeros((3, 2)), 1.1, 0)
    with pytest.raises(ValueError, match="last_reward"):
        observe(scores, np.zeros((3, 2)), 1, float("nan"))


def test_the_table_in_the_docstring_lists_the_layout():
    from resp_agent.curriculum import observation

    rows = [line.split("|")[1:-1] for line in observation.__doc__.splitlines() if line.startswith("| ")][1:]
    letters = {"C": 3, "S": 2, "1": 1}
    written = {
        name.strip(): (
            tuple(letters[part.strip()] for part in shape.strip(" ()").split(",") if part.strip()),
            float(low),
            float(high),
        )
        for name, shape, _, low, high in rows
        if not name.startswith(" ---")
    }
    assert written == layout(3, 2)
