"""The service as a process of its own, measured from outside."""

import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from resp_agent.errors import RunFailed

START_S, STOP_S = 300.0, 120.0


@dataclass(frozen=True)
class Measured:
    """A service that listens."""

    url: str
    process: subprocess.Popen

    def memory_mb(self) -> float:
        """Memory of the replicas, which only they have."""
        return sum(one.memory_full_info().uss for one in self._family() if _is_replica(one)) / 2**20

    def cpu_s(self) -> float:
        """Seconds of CPU that all of its processes have used; of those that are gone, nothing."""
        return sum(sum(one.cpu_times()[:2]) for one in self._family())

    def _family(self) -> Iterator[psutil.Process]:
        for one in psutil.Process(self.process.pid).children(recursive=True):
            try:
                one.cmdline()
            except psutil.Error:
                continue
            yield one


def _is_replica(process: psutil.Process) -> bool:
    return "ServeReplica" in " ".join(process.cmdline())


@contextmanager
def measured(flags: Sequence[str]) -> Iterator[Measured]:
    """A service of one diagnoser and of no limit on rates, since one client stands for many; stopped at the end.

    Raises:
        RunFailed: it does not start.
    """
    flags = [*flags, "--port", "0", "--most-diagnosers", "1", "--rate-per-s", "1000000"]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen([sys.executable, "-m", "jobs.serve", *flags], stdout=said, stderr=said)
        try:
            yield Measured(_listening(process, said), process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_S)


def _listening(process: subprocess.Popen, said) -> str:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        said.seek(0)
        if found := re.search(r"listening on (http\S+)/", said.read()):
            return found.group(1)
        time.sleep(0.2)
    said.seek(0)
    raise RunFailed(f"the service does not start: {' '.join(said.read().split())[-400:]}")
