"""A cluster of several nodes on this machine, which come and go while something runs on it."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil
from ray.cluster_utils import Cluster

WAIT_S = 180.0
SOON = {"health_check_period_ms": 1000, "health_check_timeout_ms": 3000, "health_check_failure_threshold": 3}
"""A node that does not answer is given up after some 12 s: a test has no time for Ray's own patience."""


class Nodes:
    """A head without work on it, and nodes of one CPU."""

    def __init__(self, count: int):
        head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 80 * 2**20, "_system_config": SOON}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self._nodes: list = []
        self.grow(count)

    @property
    def address(self) -> str:
        """For RAY_ADDRESS."""
        return self._cluster.address

    def grow(self, count: int) -> None:
        """Adds nodes until there are so many."""
        while len(self._nodes) < count:
            self._nodes.append(self._cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20))

    def remove_that_of(self, pid: int) -> None:
        """A node is gone at once, with the worker of a process on it."""
        raylet = psutil.Process(pid).ppid()
        (node,) = (node for node in self._nodes if raylet in _raylets(node))
        self._remove(node)

    def remove_busiest(self) -> None:
        """The node with most processes on it is gone at once."""
        self._remove(max(self._nodes, key=lambda node: len(psutil.Process(_raylets(node)[0]).children())))

    def raylet_of(self, pid: int) -> int:
        """The process of the node on which a worker is."""
        return psutil.Process(pid).ppid()

    def close(self) -> None:
        """Ends all of it."""
        self._cluster.shutdown()

    def _remove(self, node) -> None:
        self._nodes.remove(node)
        self._cluster.remove_node(node, allow_graceful=False)


def _raylets(node) -> list[int]:
    return [one.process.pid for one in node.all_processes["raylet"]]


def wait_for(condition: Callable[[], object], what: str = "it", timeout_s: float = WAIT_S) -> None:
    """Returns once a condition holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.01)


def kill(pid: int) -> None:
    """SIGKILL; returns when the process is gone."""
    process = psutil.Process(pid)
    os.kill(pid, signal.SIGKILL)
    process.wait(10)


@contextmanager
def standing_still(*pids: int) -> Iterator[None]:
    """SIGSTOP for the time of the block."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
