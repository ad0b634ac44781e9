"""Where each worker is right now: a small file each, for people who watch a run and for tests that disturb it."""

import json
import os
import time
from pathlib import Path


class Beacon:
    """Keeps `<folder>/<role>.json` at what its process does: phase, round, step, process id and time."""

    def __init__(self, folder: Path | str, role: str):
        self._path = Path(folder) / f"{role}.json"
        self._path.parent.mkdir(parents=True, exist_ok=True)

    def at(self, phase: str, **where: float) -> None:
        """Says where the process is. Not synced: it describes, it does not promise."""
        temporary = self._path.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps({"phase": phase, **where, "pid": os.getpid(), "time_s": time.time()}))
        temporary.replace(self._path)


def read_beacons(folder: Path | str) -> dict[str, dict]:
    """What every worker last said, by role."""
    found = {}
    for path in sorted(Path(folder).glob("*.json")):
        try:
            found[path.stem] = json.loads(path.read_text())
        except (OSError, json.JSONDecodeError):
            continue
    return found
