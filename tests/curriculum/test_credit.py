import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resp_agent.curriculum.assessment import Assessment
from resp_agent.curriculum.credit import credits_of
from resp_agent.curriculum.request import Request


def assessed(probabilities, truth=(0, 0, 1, 1), style=(0, 1, 0, 1), labels=("a", "b"), styles=("x", "y")):
    return Assessment("valid", labels, styles, tuple(map(str, range(len(truth)))), np.array(truth), np.array(style),
                      np.asarray(probabilities, float))  # fmt: skip


def asked(*cells):
    return [Request(label, style, count, 0) for label, style, count in cells]


WRONG = [[0.4, 0.6], [0.4, 0.6], [0.4, 0.6], [0.4, 0.6]]


def test_the_style_that_was_learned_takes_the_labels_gain():
    # Only a in style x is right now: F1 of a from 0 to 2/3, of b from 2/3 to 4/5.
    after = [[0.9, 0.1], [0.4, 0.6], [0.4, 0.6], [0.4, 0.6]]
    credits = credits_of(assessed(WRONG), assessed(after), asked(("a", "x", 5), ("a", "y", 5)))
    total = (2 / 3 + 4 / 5 - 2 / 3) / 2
    assert sum(credits) == pytest.approx(total)
    # b's gain and a's are shared evenly, and .5 x half of a's recordings / two labels goes to x from both.
    assert credits[0] - credits[1] == pytest.approx(0.5 * 0.5 / 2)


def test_labels_take_their_own_gain_by_clips():
    after = [[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]]
    credits = credits_of(assessed(WRONG), assessed(after), asked(("a", "x", 6), ("b", "x", 2)))
    assert credits == pytest.approx([1 / 2, (1 - 2 / 3) / 2])
    two = credits_of(assessed(WRONG), assessed(after), asked(("a", "x", 6), ("a", "x", 2), ("b", "y", 1)))
    assert two[:2] == pytest.approx([0.75 / 2, 0.25 / 2])


def test_nothing_asked_for_earns_nothing():
    assert credits_of(assessed(WRONG), assessed(WRONG), []) == []


@given(
    seed=st.integers(0, 10_000),
    cells=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(1, 9)), min_size=1, max_size=8),
    soft=st.booleans(),
)
def test_credits_sum_to_the_reward(seed, cells, soft):
    rng = np.random.default_rng(seed)
    labels, styles = tuple("abcd"), tuple("xyz")
    # Label d is sometimes not held, some styles hold nothing of a label.
    truth, style = rng.integers(rng.integers(3, 5), size=30), rng.integers(3, size=30)
    before, after = (assessed(rng.dirichlet(np.ones(4), 30), truth, style, labels, styles) for _ in range(2))
    requests = asked(*((labels[c], styles[s], n) for c, s, n in cells))
    credits = credits_of(before, after, requests, soft=soft)
    gain = after.soft_macro_f1 - before.soft_macro_f1 if soft else after.macro_f1 - before.macro_f1
    assert len(credits) == len(requests)
    assert sum(credits) == pytest.approx(gain, abs=1e-12)
