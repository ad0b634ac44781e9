import pytest
from hypothesis import given
from hypothesis import strategies as st

from resp_agent.curriculum.spending import allot


def test_the_first_requests_get_the_remainder():
    assert allot(320, 8, 8) == [5] * 8
    assert allot(10, 3, 3) == [2, 1, 1]
    assert allot(2, 3, 4) == [1, 0, 0, 0]
    assert allot(0, 3, 2) == [0, 0]


@given(st.integers(1, 2000), st.integers(1, 40), st.integers(1, 20))
def test_a_budget_is_spent_whole_and_never_exceeded(budget, rounds, requests):
    left = budget
    for done in range(rounds):
        clips = allot(left, rounds - done, requests)
        assert sum(clips) == -(-left // (rounds - done))
        assert max(clips) - min(clips) <= 1
        assert clips == sorted(clips, reverse=True)
        left -= sum(clips)
        assert left >= 0
    assert left == 0


@pytest.mark.parametrize("arguments", [(3, 0, 1), (3, 1, 0), (-1, 1, 1)])
def test_nothing_to_share_is_refused(arguments):
    with pytest.raises(ValueError, match="cannot share"):
        allot(*arguments)
