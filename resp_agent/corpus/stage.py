"""Listed recordings to staged rows: all of a corpus row but what depends on the other recordings.

Staged rows lie in files beside the corpus until it is whole. A build that was killed finds there what it had done.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from resp_agent.audio.header import Unreadable
from resp_agent.audio.sandbox import Sandbox
from resp_agent.corpus import listing
from resp_agent.corpus.schema import SCHEMA
from resp_agent.corpus.sources import Found
from resp_agent.corpus.write import printable
from resp_agent.randomness import digest
from resp_agent.settings import CorpusSettings
from resp_agent.storage import fetch, remove

VERSION = 2
"""Raised when the same file would be staged as another row than before."""
EVENT_SLACK_S = 0.5
"""An event may be annotated this much past the end of its recording, and is then cut there."""
SHARD_BYTES = 64 * 2**20
"""Audio of a staged file, from which on another one is begun."""
LATER = ("style", "narrative", "narrative_source", "split", "request")
"""Columns that depend on other recordings or are no recording's."""
_CYCLE = pa.struct([("start_s", pa.float64()), ("end_s", pa.float64()), ("heard", pa.string())])
STAGED = pa.schema(
    [
        ("key", pa.string()),
        ("reason", pa.string()),
        ("cycles", pa.list_(_CYCLE)),
        *((field.name, field.type) for field in SCHEMA if field.name not in LATER),
    ]
)
"""A row that has a `reason` has nothing else but its key."""
_CACHED = 4
"""Staged files kept open: neighbours were staged together, and a resumed build has few that interleave."""


@dataclass(frozen=True)
class Staging:
    """The work on parts of a listing: rows of `listing.SCHEMA` to files of `STAGED` rows in `folder`."""

    settings: CorpusSettings
    folder: Path
    heavy: bool = False

    def start(self) -> "Stager":
        """A worker with a decoding process of its own."""
        return Stager(self)


class Stager:
    """A worker of `Staging`."""

    def __init__(self, work: Staging):
        self._folder = work.folder
        self._sandbox = Sandbox(work.settings.quality, work.settings.decoding)

    def __call__(self, part: Path) -> int:
        """Stages the rows of a part and returns how many there are."""
        rows = listing.read(part)
        waiting, size = [], 0
        for row in rows:
            waiting.append(self._stage(row))
            size += len((waiting[-1].get("audio") or {}).get("bytes", b""))
            if size >= SHARD_BYTES:
                self._write(waiting)
                waiting, size = [], 0
        self._write(waiting)
        return len(rows)

    def close(self) -> None:
        """Ends the decoding process."""
        self._sandbox.close()

    def _stage(self, row: dict) -> dict:
        found = listing.found_of(row)
        try:
            taken = self._sandbox.take(fetch(found.path))
        except Unreadable as problem:
            return {"key": row["key"], "reason": problem.reason}
        reason = _beyond(found, taken.duration_s)
        if reason:
            return {"key": row["key"], "reason": reason}
        path = Path(found.source) / listing.path_of(row["path"]).with_suffix(".flac")
        staged = {name: getattr(found, name) for name in STAGED.names if hasattr(found, name)}
        staged |= {name: getattr(taken, name) for name in STAGED.names if hasattr(taken, name)}
        return staged | {
            "key": row["key"],
            "label": row["label"],
            "patient_id": found.patient_id or taken.id,
            "events": [_cut(event, taken.duration_s) for event in found.events],
            "cycles": [_cut(cycle, taken.duration_s) for cycle in found.cycles],
            "audio": {"bytes": taken.flac, "path": printable(path)},
        }

    def _write(self, rows: list[dict]) -> None:
        if rows:
            name = digest(*(row["key"] for row in rows))
            listing.write_table(pa.Table.from_pylist(rows, schema=STAGED), self._folder / f"{name}.parquet")


class Staged:
    """What is staged in a folder, by key."""

    def __init__(self, folder: Path):
        self._rows: dict[str, tuple[Path, int]] = {}
        self._good: set[str] = set()
        self._cache: OrderedDict[Path, pa.Table] = OrderedDict()
        for path in sorted(
            fetch(folder, prune=False).glob("*.parquet"), key=lambda path: (path.stat().st_mtime_ns, path.name)
        ):
            try:
                table = pq.read_table(path, columns=["key", "reason"])
            except (pa.ArrowInvalid, OSError):
                # What a power cut left of a file is staged again.
                remove(path)
                continue
            for number, (key, reason) in enumerate(zip(*table.to_pydict().values(), strict=True)):
                if key not in self._good:
                    self._rows[key] = (path, number)
                if reason is None:
                    self._good.add(key)

    def __contains__(self, key: str) -> bool:
        """Whether a recording need not be decoded again. One that was refused is: what was wrong may be mended."""
        return key in self._good

    def columns(self, names: Sequence[str]) -> pa.Table:
        """Columns without audio of everything staged, `key` first."""
        numbers: dict[Path, list[int]] = {}
        for path, number in self._rows.values():
            numbers.setdefault(path, []).append(number)
        tables = [pq.read_table(path, columns=["key", *names]).take(rows) for path, rows in numbers.items()]
        return pa.concat_tables(tables) if tables else STAGED.empty_table().select(["key", *names])

    def rows(self, keys: Iterable[str]) -> pa.Table:
        """Whole rows of `STAGED`, in the order of `keys`."""
        runs: list[list] = []
        for key in keys:
            path, number = self._rows[key]
            if runs and runs[-1][0] == path and runs[-1][2] == number:
                runs[-1][2] += 1
            else:
                runs.append([path, number, number + 1])
        tables = [self._open(path).slice(start, end - start) for path, start, end in runs]
        return pa.concat_tables(tables) if tables else STAGED.empty_table()

    def _open(self, path: Path) -> pa.Table:
        if path not in self._cache:
            self._cache[path] = pq.read_table(path)
            if len(self._cache) > _CACHED:
                self._cache.popitem(last=False)
        self._cache.move_to_end(path)
        return self._cache[path]


def identity(settings: CorpusSettings) -> str:
    """A name of the settings that a staged row depends on."""
    return digest(VERSION, *asdict(settings.quality).values(), *asdict(settings.decoding).values())


def _beyond(found: Found, duration_s: float) -> str | None:
    """Why an annotation does not belong to audio of this length."""
    marks = (*found.events, *found.cycles)
    last_s = max((mark.end_s for mark in marks), default=0.0)
    if last_s > duration_s + EVENT_SLACK_S or any(mark.start_s >= duration_s for mark in marks):
        return f"its annotation goes to {last_s:.1f} s and its audio to {duration_s:.1f} s"
    return None


def _cut(mark, duration_s: float) -> dict:
    return asdict(replace(mark, end_s=min(mark.end_s, duration_s)))
