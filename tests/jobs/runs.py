"""Runs as processes of their own, and blows struck at them in a phase that their beacons prove."""

import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from resp_agent.curriculum.beacon import read_beacons
from resp_agent.storage import fetch, shown
from tests.jobs.forked import FORKED, FRESH, begun

START_S, PHASE_S, RUN_S, GONE_S = 120.0, 300.0, 400.0, 30.0
AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")
"""They do nothing of a run. When their node dies they try for 60 s, fixed in Ray, to tell its head, which died too."""


class Run:
    """A curriculum process that has begun, forked unless it is to import everything itself (`fresh`)."""

    begun: ClassVar[list["Run"]] = []

    def __init__(self, folder: Path, *flags: str, fresh: bool = False):
        self.folder, self.progress = folder, folder / "progress"
        begun_before = fetch(folder / "settings.yaml").is_file()
        where = ["--resume" if begun_before else "--out", shown(folder)]
        # What a user's shell sets for threads must not matter.
        environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
        self._said = tempfile.TemporaryDirectory()
        self.process = begun(FRESH if fresh else FORKED, [*where, *flags], Path(self._said.name), environment)
        self.frozen: dict[int, str] = {}
        self.begun.append(self)

    @classmethod
    def end_all(cls) -> None:
        """Leaves no process behind, whatever a test came to."""
        for run in cls.begun:
            left = list(family(run.process.pid)) if run.process.is_alive() else []
            # A number may be another process's by now.
            left += [pid for pid, birth in run.frozen.items() if _birth(pid) == birth]
            for pid in filter(_running, left):
                os.kill(pid, signal.SIGKILL)
            run.process.join(10)
            run._said.cleanup()
        cls.begun.clear()

    def said(self, name: str = "out") -> str:
        """What it has said so far, on `out` or on `err`."""
        file = Path(self._said.name) / name
        return file.read_text() if file.exists() else ""

    def code(self) -> int:
        """The exit code, once the run has ended."""
        self.process.join(RUN_S)
        assert self.process.exitcode is not None, f"it does not end: {self.said()}\n{self.said('err')}"
        return self.process.exitcode

    def summary(self) -> dict:
        """The summary, once the run has ended well."""
        assert self.code() == 0, f"{self.said()}\n{self.said('err')}"
        return results(self.folder)

    def wait_for_line(self, part: str) -> None:
        """Returns when the console has said it."""
        assert _wait(lambda: part in self.said() or not self.process.is_alive(), START_S)
        assert part in self.said(), f"the run ended without {part!r}:\n{self.said('err')}"

    def freeze(self, place: "Place") -> dict:
        """Stops a worker inside a phase.

        Returns:
            Its beacon, read again once the worker stood still: this is where it is.
        """
        deadline = time.monotonic() + PHASE_S
        while time.monotonic() < deadline:
            if not self.process.is_alive():
                raise AssertionError(f"the run ended before {place} was reached:\n{self.said()}\n{self.said('err')}")
            beacon = self._at(place)
            # The number may be one of an earlier process, and another process's by now.
            if beacon and _running(beacon["pid"]) and self.process.pid in _line(beacon["pid"]):
                self.frozen[beacon["pid"]] = _birth(beacon["pid"])
                os.kill(beacon["pid"], signal.SIGSTOP)
                _wait(lambda pid=beacon["pid"]: _stopped(pid), 5.0)
                if self._at(place) == beacon:
                    return beacon
                os.kill(beacon["pid"], signal.SIGCONT)
            time.sleep(0.001)
        raise AssertionError(f"{place} was never reached: {read_beacons(self.progress)}")

    def kill_workers(self, *roles: Sequence["Place"]) -> None:
        """`kill_worker` at each place of a role in turn, and for all roles at once."""
        with ThreadPoolExecutor() as pool:
            for _ in pool.map(lambda places: [self.kill_worker(place) for place in places], roles):
                pass

    def kill_worker(self, place: "Place") -> None:
        """SIGKILL to a worker inside a phase; returns when another process has taken its role over."""
        struck = self.freeze(place)
        os.kill(struck["pid"], signal.SIGKILL)
        assert _wait(lambda: not _running(struck["pid"]), 10.0)
        now = self._beacon(place.role)
        assert now == struck or now["pid"] != struck["pid"], "it went on after it had been seen"
        assert _wait(lambda: self._beacon(place.role)["pid"] != struck["pid"], START_S), f"nobody became {place.role}"

    def kill_driver(self, *places: "Place") -> None:
        """SIGKILL to the driver while workers are inside a phase each; returns when no process of the run is left."""
        with ThreadPoolExecutor() as pool:
            struck = list(pool.map(self.freeze, places))
        own = family(self.process.pid)
        self.kill()
        assert [self._beacon(place.role) for place in places] == struck
        for beacon in struck:
            # A worker that outlives its driver for a moment goes on with what it did.
            if beacon["pid"] != self.process.pid and _running(beacon["pid"]):
                os.kill(beacon["pid"], signal.SIGCONT)
        self.see_the_end_of(own)

    def kill(self) -> None:
        """SIGKILL to the driver."""
        self.process.kill()
        self.process.join(10)
        assert self.process.exitcode == -signal.SIGKILL

    def see_the_end_of(self, processes: dict[int, str]) -> None:
        """Asserts that they all end in time, Ray's agents apart."""
        workers = [pid for pid, name in processes.items() if not name.startswith(AGENTS)]
        assert _wait(lambda: not any(map(_running, workers)), GONE_S), [
            processes[pid] for pid in workers if _running(pid)
        ]

    def _beacon(self, role: str) -> dict | None:
        try:
            return json.loads((self.progress / f"{role}.json").read_text())
        except (OSError, json.JSONDecodeError):
            return None

    def _at(self, place: "Place") -> dict | None:
        beacon = self._beacon(place.role)
        fits = beacon is not None and beacon["phase"] == place.phase
        fits = fits and beacon.get("step", beacon.get("round", 0)) >= place.least
        return beacon if fits and (not place.beside or any(self.folder.glob(place.beside))) else None


@dataclass(frozen=True)
class Place:
    """Where a worker is to be struck."""

    role: str
    phase: str
    least: int = 0
    """First step of the phase (or round, where it tells no step) that will do."""
    beside: str = ""
    """A path that the run directory must hold at that moment."""


def results(folder: Path) -> dict:
    """A run's summary without what differs from run to run."""
    summary = json.loads((folder / "summary.json").read_text())
    assert summary.pop("seconds")
    return summary


def family(pid: int) -> dict[int, str]:
    """A process and all its descendants, with their names; also those of its Ray that were put apart."""
    parents, names = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int(_stat(int(entry.name))[1])
                names[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:200]
            except (OSError, IndexError):
                continue
    found = {pid} | {other for other, name in names.items() if f"_{pid}/" in name and "/session_" in name}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return {one: names.get(one, "") for one in found}


def _stat(pid: int | str) -> list[str]:
    """[state, parent, ...] of a process, or of a thread of it as `<pid>/task/<thread>`."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _stopped(pid: int) -> bool:
    """Whether all its threads stand still: they stop one after the other, and any of them may tell where it is."""
    try:
        states = [_stat(f"{pid}/task/{thread.name}")[0] for thread in Path(f"/proc/{pid}/task").iterdir()]
    except (OSError, IndexError):
        return False
    return bool(states) and set(states) <= {"T", "t", "Z", "X"}


def _state(pid: int) -> str:
    try:
        return _stat(pid)[0]
    except OSError:
        return ""


def _birth(pid: int) -> str:
    """When a process began, in ticks since the machine did."""
    try:
        return _stat(pid)[19]
    except OSError:
        return ""


def _line(pid: int) -> list[int]:
    """A process, its parent, and so on."""
    line = [pid]
    while line[-1] > 1:
        try:
            line.append(int(_stat(line[-1])[1]))
        except OSError:
            break
    return line


def _running(pid: int) -> bool:
    return _state(pid) not in ("", "Z", "X")


def _wait(condition: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
