"""Clips that somebody heard and rejected: a list beside the clips. What is on it is never learned from again."""

import csv
import fcntl
import io
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from resp_agent.durable import write_atomic
from resp_agent.errors import UserError
from resp_agent.storage import fetch, is_mirror, shown

FILE = "vetoes.csv"
COLUMNS = ("clip_id", "reason", "when")


def read_vetoes(folder: Path) -> dict[str, dict[str, str]]:
    """Clip id -> its row of the list in a folder; empty where there is no list.

    Raises:
        UserError: the list cannot be read. It is not taken for empty: then what was rejected would be learned from.
    """
    path = fetch(Path(folder) / FILE)
    if not path.exists():
        return {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, restval="", strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise UserError(f"the veto list {path} cannot be read ({problem}): mend it, or take it away") from None
    for line, row in enumerate(rows, start=2):
        if not row.get("clip_id") or None in row:
            what = "no clip_id" if not row.get("clip_id") else "more fields than there are columns"
            raise UserError(f"row {line} of the veto list {path} has {what}: mend it, or take the list away")
    return {row["clip_id"]: row for row in rows}


def add_vetoes(folder: Path, clips: Iterable[str], reason: str, known: Collection[str]) -> list[str]:
    """Adds clips to the list in a folder; those that are on it keep their first reason.

    Args:
        known: ids of the clips that there are.

    Returns:
        The ids that were added.

    Raises:
        UserError: a clip is not among them; nothing is added then.
    """
    clips = list(dict.fromkeys(clips))
    unknown = [clip for clip in clips if clip not in known]
    if unknown:
        raise UserError(f"there is no clip {', '.join(unknown)} in {folder}: give ids as its clips have them")
    try:
        with _alone(Path(folder)):
            rows = read_vetoes(folder)
            added = [clip for clip in clips if clip not in rows]
            when = datetime.now(UTC).isoformat(timespec="seconds")
            rows |= {clip: {"clip_id": clip, "reason": reason, "when": when} for clip in added}
            write_atomic(Path(folder) / FILE, _as_csv(rows.values()))
    except OSError as problem:
        raise UserError(f"{folder} cannot be written ({problem.strerror or problem}): make it writable") from problem
    return added


def vetoes_of(folders: Iterable[Path]) -> dict[str, dict[str, str]]:
    """Clip id -> its row, of the lists in several folders; of a clip that is on two, the first list's.

    Raises:
        UserError: a folder has no list, or it cannot be read.
    """
    rows: dict[str, dict[str, str]] = {}
    for folder in map(Path, folders):
        if not fetch(folder / FILE).exists():
            raise UserError(
                f"there is no veto list {shown(folder / FILE)}: give the folder of a run or set that has one"
            )
        rows = read_vetoes(folder) | rows
    return rows


def adopt_vetoes(folder: Path, rows: dict[str, dict[str, str]]) -> None:
    """Adds rows of `vetoes_of` to the list in a folder: a clip of the same request has the same id everywhere."""
    if not rows:
        return
    with _alone(Path(folder)):
        write_atomic(Path(folder) / FILE, _as_csv((rows | read_vetoes(folder)).values()))


def _as_csv(rows: Collection[dict[str, str]]) -> bytes:
    """With the columns of our own, and those that people added."""
    columns = dict.fromkeys([*COLUMNS, *(name for row in rows for name in row)])
    told = io.StringIO()
    table = csv.DictWriter(told, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return told.getvalue().encode()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two listeners who reject clips at the same time on one machine lose none of each other's."""
    if is_mirror(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{FILE}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
