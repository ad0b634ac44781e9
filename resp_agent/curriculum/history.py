"""What a run directory tells of its run, in whatever state it is: for lists, comparisons and estimates."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from resp_agent.curriculum.beacon import read_beacons
from resp_agent.curriculum.folders import found_in
from resp_agent.curriculum.journal import BOARD, LINES, SETTINGS, RunDirectory
from resp_agent.errors import UserError
from resp_agent.settings import from_plain
from resp_agent.storage import children, fetch, is_mirror, shown

FRESH_S = 120.0
"""Age of a worker's last word up to which its run is taken to be going on."""

State = Literal["complete", "running", "resumable", "broken", "no run"]

_SCORED = (
    "test_macro_f1_before",
    "test_macro_f1_after",
    "test_macro_f1_ci95",
    "test_accuracy_before",
    "test_accuracy_after",
    "seconds",
)
"""What a summary must have to be one."""


@dataclass(frozen=True)
class History:
    """A run as its folder tells it. Of one that is broken or none at all only `folder`, `state` and `why` are sure."""

    folder: Path
    state: State
    why: str = ""
    """What is wrong, or where the run is."""
    began_s: float | None = None
    """When it was begun, in seconds since 1970."""
    parts: int = 0
    """Processes that it took so far: 1 if it was never resumed."""
    policy: str = ""
    settings: dict = field(default_factory=dict, repr=False)
    """As plain data."""
    first: str | None = None
    """Where it keeps first-trained models, unless in its own folder."""
    fingerprint: str | None = None
    """Of its corpus; None before that was opened."""
    journal: Sequence[dict] = field(default=(), repr=False)
    summary: dict | None = field(default=None, repr=False)

    @property
    def seed(self) -> int:
        return self.settings["seed"]

    @property
    def planned(self) -> int:
        """Rounds that the settings ask for."""
        return self.settings["curriculum"]["rounds"]

    @property
    def budget(self) -> int:
        return self.settings["curriculum"]["budget"]

    @property
    def rounds(self) -> int:
        """Rounds that are done; round 0, the diagnoser as first trained, is none."""
        return max(len(self.journal) - 1, 0)

    @property
    def clips(self) -> int:
        """Clips synthesized so far."""
        return sum(len(entry["clip_ids"]) for entry in self.journal)

    @property
    def spent(self) -> list[int]:
        """Clips of the budget that are gone after each journalled round; as if there were any, in a run without."""
        return [self.budget - entry["state"]["budget_left"] for entry in self.journal]

    @property
    def valid(self) -> list[float]:
        """Validation macro-F1 after each journalled round."""
        return [entry["valid_macro_f1"] for entry in self.journal]

    @property
    def seconds(self) -> float:
        """Time that the run took, without what was lost to kills."""
        rounds = sum(entry["seconds"]["round"] for entry in self.journal)
        phases = (self.summary or {}).get("seconds", {})
        after = phases.get("judging", 0.0) + phases.get("report", 0.0)
        # `all` is of the last process alone, and the only one to know how long its corpus took.
        return max(rounds + after, phases.get("all", 0.0))


def history_of(folder: Path, now_s: float | None = None) -> History:
    """Reads a folder; what is wrong with it is in the answer, nothing is raised for it.

    Args:
        now_s: seconds since 1970; by default the clock's.
    """
    folder = Path(folder)
    if is_mirror(folder):
        RunDirectory(folder).fetched()
    try:
        if not (folder / SETTINGS).is_file():
            return History(folder, "no run", f"no {SETTINGS}")
        told = yaml.safe_load((folder / SETTINGS).read_text())
        if not isinstance(told, dict) or not {"policy", "settings"} <= told.keys():
            return History(folder, "no run", f"{SETTINGS} is not that of a curriculum")
        return _read(folder, told, time.time() if now_s is None else now_s)
    except (OSError, yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError) as problem:
        said = str(problem).split("\n")[0][:120]
        return History(folder, "broken", f"it cannot be read ({type(problem).__name__}: {said})")


def runs_in(folders: Sequence[Path], now_s: float | None = None) -> list[History]:
    """The runs that are, or lie in, some folders, in the order of these and of their names, each once.

    Raises:
        UserError: there is no such folder.
    """
    found: dict[Path, History] = {}
    for folder in folders:
        own, stored = fetch(folder / SETTINGS).exists(), is_mirror(folder)
        if not (children(folder) if stored else folder.is_dir()):
            raise UserError(f"there is no folder {shown(folder)}: give a run directory, or a folder of some")
        inner = [folder] if own else [path for path in children(folder) if stored or path.is_dir()]
        for path in inner:
            if not path.name.startswith("."):
                found.setdefault(path.resolve(), history_of(path, now_s))
    return list(found.values())


def _read(folder: Path, told: dict, now_s: float) -> History:
    run = RunDirectory(folder)
    begun = _begun(folder)
    common = {
        "began_s": min(begun, default=(folder / SETTINGS).stat().st_mtime),
        "parts": len(begun),
        "policy": str(told["policy"]),
        "settings": told["settings"],
        "first": told.get("first"),
        "fingerprint": told.get("corpus"),
    }
    try:
        common |= {"journal": run.rounds(), "summary": run.summary()}
    except ValueError as problem:
        return History(folder, "broken", f"journal or summary is damaged ({str(problem)[:80]})", **common)
    found = History(folder, "complete", **common)
    # Asked once here, so that whoever reads a history that is not broken finds everything there.
    _ = (found.seed, found.planned, found.budget, found.clips, found.spent, found.valid, found.seconds)
    _ = (found.settings["corpus"], found.settings["preset"], found.settings["generator"]["kind"])
    if found.summary is not None:
        lacking = [name for name in _SCORED if name not in found.summary]
        if lacking:
            return History(folder, "broken", f"its summary lacks {lacking[0]}", **common)
        return found
    state, why = _unfinished(found, now_s)
    return History(folder, state, why, **common)


def _begun(folder: Path) -> list[float]:
    """When each process of a run began, by the names of its event files; in seconds since 1970."""
    names = [path.name.split(".") for path in (folder / BOARD).glob("events.out.tfevents.*")]
    return sorted(float(parts[3]) for parts in names if parts[3].isdigit())


def _unfinished(found: History, now_s: float) -> tuple[State, str]:
    beacons: list[dict[str, Any]] = list(read_beacons(found.folder / "progress").values())
    # Workers elsewhere are not heard; what they came to is on the store, at its time.
    lines = (found.folder / LINES).glob("*.json")
    beacons += [{"phase": "journalled a round", "time_s": path.stat().st_mtime} for path in lines]
    last = max(beacons, key=lambda beacon: beacon["time_s"], default=None)
    if last and now_s - last["time_s"] < FRESH_S:
        return "running", f"{last['phase']}, {max(now_s - last['time_s'], 0):.0f} s ago"
    try:
        from_plain(found.settings)
    except UserError as problem:
        return "broken", f"its settings are none of this version ({problem})"
    if not found.journal:
        return "resumable", "before its first round"
    checkpoint = found.journal[-1]["state"]["lab"]["checkpoint"]["folder"]
    there = found_in(found.folder, checkpoint)
    if not (children(there) if is_mirror(there) else there.is_dir()):
        return "broken", f"its checkpoint {checkpoint} is gone"
    ended = found.journal[-1]["state"]["ended"]
    return "resumable", "only the test is left" if ended else f"after round {found.rounds}"
