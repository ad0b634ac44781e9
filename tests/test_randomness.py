"""Seeded streams: named by where they are drawn, the same everywhere."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from resp_agent.randomness import digest, seed_of, stream

TEXT = st.text(st.characters(exclude_characters="/"), max_size=8)
PATHS = st.lists(st.one_of(st.integers(), TEXT), min_size=1, max_size=4)


@given(PATHS, PATHS)
def test_different_paths_have_different_seeds(one, other):
    assert (seed_of(*one) == seed_of(*other)) == (one == other)


def test_a_seed_is_the_same_in_another_process():
    code = "from resp_agent.randomness import seed_of; print(seed_of(0, 'round', 3, 'request', 1))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(told) == seed_of(0, "round", 3, "request", 1) == 7356875404712424821


def test_streams_repeat():
    assert stream("a", 1).random(3).tolist() == stream("a", 1).random(3).tolist()
    assert stream("a", 1).random() != stream("a", "1").random()


def test_digests_tell_parts_apart():
    assert digest("ab", "c") != digest("a", "bc")
    assert digest(1) != digest("1")
    assert len(digest("x", size=6)) == 12
