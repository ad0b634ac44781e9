"""What readers find, on disk: rows that a build goes through twice without holding them.

Every row has a key, a digest of all that its decoded form follows from: file, annotation, label and settings.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from resp_agent.corpus.schema import Cycle, Event
from resp_agent.corpus.sources import SOURCES, Found, SetAside
from resp_agent.corpus.write import printable, visible
from resp_agent.durable import write_atomic
from resp_agent.errors import UserError
from resp_agent.randomness import digest
from resp_agent.storage import fetch
from resp_agent.taxonomy import UNLABELLED, Place, UnmappedLabel, place_of

PART_ROWS = 128
"""Rows of a part: what a worker does at once, and at most loses when it is killed."""

SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("source", pa.string()),
        ("path", pa.binary()),
        ("file", pa.binary()),
        ("source_label", pa.string()),
        ("label", pa.string()),
        ("found", pa.string()),
        ("reason", pa.string()),
        ("excluded", pa.bool_()),
    ]
)
"""`path` is below its source's root and `file` is absolute, both as the file system has them; `reason` is there where a
recording is set aside unheard."""


def listed(sources: dict[str, Path], identity: str) -> Iterator[dict]:
    """A row of `SCHEMA` for everything that the sources' readers find, in the order of sources and readers.

    `identity` names the settings that decoded rows depend on.

    Raises:
        UserError: a source has a label that the taxonomy does not map; the sentence names file and label.
    """
    for name in sorted(sources):
        root = Path(sources[name]).absolute()
        for item in SOURCES[name].read(root):
            yield _row(item, root, identity)


def write_parts(rows: Iterator[dict], folder: Path, told: Callable[[int], None] | None = None) -> list[Path]:
    """Writes rows as parts into a folder, in their order, and returns the parts; `told` hears how many there are."""
    parts: list[Path] = []
    count = 0
    while some := list(islice(rows, PART_ROWS)):
        parts.append(folder / f"part-{len(parts):06d}.parquet")
        write_table(pa.Table.from_pylist(some, schema=SCHEMA), parts[-1])
        count += len(some)
        if told:
            told(count)
    return parts


def read(part: Path) -> list[dict]:
    """The rows of a part."""
    return pq.read_table(fetch(part)).to_pylist()


def write_table(table: pa.Table, path: Path) -> None:
    """A Parquet file that is whole or not there."""
    sink = pa.BufferOutputStream()
    # FLAC in a column neither compresses nor repeats.
    columns = [name for name in table.column_names if name != "audio"]
    pq.write_table(table, sink, use_dictionary=columns, write_statistics=False, compression="lz4")
    write_atomic(path, sink.getvalue())


def found_of(row: dict) -> Found:
    """The reader's item of a row."""
    fields = json.loads(row["found"])
    fields["events"] = tuple(Event(**event) for event in fields["events"])
    fields["cycles"] = tuple(Cycle(**cycle) for cycle in fields["cycles"])
    for name in ("symptoms", "history", "remarks"):
        fields[name] = tuple(fields[name])
    return Found(source=row["source"], path=Path(os.fsdecode(row["file"])), source_label=row["source_label"], **fields)


def path_of(path: bytes) -> Path:
    """A path as the file system has it."""
    return Path(os.fsdecode(path))


def _row(item: Found | SetAside, root: Path, identity: str) -> dict:
    path = item.path.relative_to(root)
    row = {
        "source": item.source,
        "path": os.fsencode(path),
        "file": os.fsencode(item.path),
        "source_label": visible(item.source_label),
        "label": None,
        "found": None,
        "reason": None,
        "excluded": False,
    }
    if isinstance(item, SetAside):
        return row | {
            "reason": visible(item.reason),
            "excluded": item.excluded,
            "key": digest(row["path"], item.reason),
        }
    place = item.place or _place(item, path)
    if place.reason:
        return row | {"reason": place.reason, "excluded": True, "key": digest(row["path"], place.reason)}
    fields = asdict(replace(item, place=None))
    fields |= {name: visible(value) for name, value in fields.items() if isinstance(value, str)}
    for name in ("source", "path", "source_label", "place"):
        del fields[name]
    row |= {"label": place.label, "found": json.dumps(fields)}
    state = state_of(item.path)
    return row | {"key": digest(identity, row["source"], row["path"], *state, row["label"], row["found"])}


def _place(item: Found, path: Path) -> Place:
    if not item.source_label:
        return Place(UNLABELLED, None)
    try:
        return place_of(item.source, item.source_label)
    except UnmappedLabel as problem:
        raise UserError(
            f"{printable(path)}: {problem.args[0]}; add it to the table of labels, or mend it in the source's own table"
        ) from None


def state_of(path: Path) -> tuple[int, int]:
    """Size and time of change of what a path leads to, or of the path itself where it leads nowhere."""
    try:
        state = os.stat(path)
    except OSError:
        state = os.lstat(path) if os.path.lexists(path) else None
    return (state.st_size, state.st_mtime_ns) if state else (0, 0)
