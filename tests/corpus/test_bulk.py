"""The runner for one process: every part once, by as many workers as asked for, and failures that come through."""

import threading
from collections import Counter
from pathlib import Path

import pytest

from resp_agent.corpus.bulk import in_threads
from resp_agent.errors import UserError


class Counting:
    """Work that counts; what it counts is shared, as nothing leaves this process."""

    def __init__(self, workers: int, fails: bool = False, heavy: bool = False):
        self.heavy = heavy
        self.parts, self.closed, self.started, self.fails = Counter(), 0, 0, fails
        self._together = threading.Barrier(workers)

    def start(self):
        self.started += 1
        return Worker(self)


class Worker:
    def __init__(self, work: Counting):
        self._work = work

    def __call__(self, part: Path) -> int:
        self._work.parts[part] += 1
        # Passed only when as many parts are done at the same time as there are workers.
        self._work._together.wait(timeout=10)
        if self._work.fails:
            raise OSError("the disk is full")
        return int(part.name)

    def close(self) -> None:
        self._work.closed += 1


@pytest.mark.parametrize("workers", [1, 3])
def test_every_part_is_done_once_by_so_many_workers(workers):
    work, parts = Counting(workers), [Path(str(number)) for number in range(9)]
    assert sum(in_threads(workers)(work, parts)) == 36
    assert work.parts == dict.fromkeys(parts, 1)
    assert work.started == work.closed == workers


def test_a_worker_with_a_model_is_alone():
    work, parts = Counting(1, heavy=True), [Path(str(number)) for number in range(4)]
    assert sum(in_threads(3)(work, parts)) == 6
    assert work.started == 1


def test_what_a_worker_cannot_do_at_all_is_told_in_its_words():
    class Impossible(Counting):
        def start(self):
            raise UserError("there is no such model")

    with pytest.raises(UserError, match="there is no such model"):
        list(in_threads(2)(Impossible(1), [Path("1"), Path("2")]))


def test_no_parts_are_no_work():
    work = Counting(1)
    assert list(in_threads(4)(work, [])) == []
    assert work.started == 0


def test_a_failure_comes_through_and_workers_are_closed():
    work = Counting(1, fails=True)
    with pytest.raises(OSError, match="the disk is full"):
        list(in_threads(1)(work, [Path("1"), Path("2")]))
    assert work.closed == 1
