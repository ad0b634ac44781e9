"""The pool on nodes that come and go, with workers that only take time."""

import os
import time

import psutil
import pytest
import ray
from ray.exceptions import RayTaskError

from actors.pool import LOSSES, Pool
from resp_agent.errors import RunFailed
from tests.nodes import Nodes, kill, wait_for

pytestmark = [pytest.mark.ray, pytest.mark.slow]
ITEM_S = 0.25


@ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)
class Worker:
    """Takes `ITEM_S` for an item, and says who it is."""

    def load(self):
        return os.getpid()

    def do(self, item):
        if item == "deadly":
            os._exit(1)
        if item == "wrong":
            raise ValueError(item)
        time.sleep(ITEM_S)
        return item, os.getpid()


@pytest.fixture(scope="module")
def nodes():
    nodes = Nodes(2)
    ray.init(address=nodes.address, log_to_driver=False)
    yield nodes
    ray.shutdown()
    nodes.close()


def short():
    return "there is no room"


def pool_of(most) -> Pool:
    return Pool(lambda number: Worker.remote(), lambda worker: worker.load.remote(), most)


def done(pool: Pool, items: list, **how) -> tuple[list, set[int], float]:
    """(results in order, processes that took part, seconds)."""
    began, results, processes = time.monotonic(), [None] * len(items), set()
    for index, (item, pid) in pool.map(lambda worker, item: worker.do.remote(item), items, 60.0, short, **how):
        assert results[index] is None, "an item was done twice"
        results[index] = item
        processes.add(pid)
    return results, processes, time.monotonic() - began


def test_it_grows_with_the_nodes_and_shrinks_with_them(nodes):
    pool, items = pool_of(4), list(range(40))
    pool.open(60.0, short)
    wait_for(lambda: done(pool, [0, 1]) and pool.placed == 2, "two workers")
    results, processes, two_s = done(pool, items)
    assert (results, len(processes), pool.placed) == (items, 2, 2)
    nodes.grow(4)
    wait_for(lambda: done(pool, [0, 1]) and pool.placed == 4, "four workers")
    results, processes, four_s = done(pool, items)
    assert (results, len(processes)) == (items, 4)
    # Twice as many, while nothing but time is taken.
    assert two_s / four_s > 1.5

    # Two go in mid-run, with what they were at.
    answers = pool.map(lambda worker, item: worker.do.remote(item), items, 60.0, short)
    results = [next(answers) for _ in range(4)]
    for pid in list({pid for _, (_, pid) in results})[:2]:
        nodes.remove_that_of(pid)
    results += answers
    assert sorted(index for index, _ in results) == items
    assert pool.lost >= 2
    assert pool.placed == 2
    pool.close()


def test_a_worker_gives_way_and_comes_back(nodes):
    nodes.grow(2)
    pool = pool_of(2)
    assert not pool.shrink()
    wait_for(lambda: done(pool, [0, 1]) and pool.placed == 2, "two workers")
    assert pool.shrink()
    assert done(pool, [0, 1], at_once=1)[0] == [0, 1]
    wait_for(lambda: done(pool, [0, 1, 2]) and pool.placed == 2, "the other one")
    pool.close()
    assert pool.placed == 0


def test_one_that_dies_while_it_waits_is_replaced(nodes):
    pool = pool_of(1)
    _, (pid,), _ = done(pool, [0])
    kill(pid)
    results, (other,), _ = done(pool, [1])
    assert results == [1]
    assert other != pid
    assert not psutil.pid_exists(pid)
    pool.close()


def test_a_worker_is_not_to_blame_for_an_item_that_fails(nodes):
    pool = pool_of(1)
    _, (pid,), _ = done(pool, [0])
    with pytest.raises(RayTaskError, match="wrong"):
        done(pool, [1, "wrong"])
    assert done(pool, [2])[:2] == ([2], {pid})
    pool.close()


def test_what_kills_every_worker_ends_the_run_with_a_sentence(nodes, monkeypatch):
    monkeypatch.setattr("actors.pool.LOSSES", 3)
    assert LOSSES > 3
    with pytest.raises(RunFailed, match="3 workers were lost over the same request: see their logs"):
        done(pool_of(1), ["deadly"])


def test_without_room_it_says_so(nodes):
    pool = Pool(lambda number: Worker.options(num_cpus=64).remote(), lambda worker: worker.load.remote(), 1)
    with pytest.raises(RunFailed, match="there is no room"):
        pool.open(2.0, short)
    pool.close()
