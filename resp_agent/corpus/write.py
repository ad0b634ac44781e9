"""A corpus directory, written whole or not at all: Parquet by split, what was set aside, and corpus.json."""

import json
import os
import platform
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from resp_agent.corpus.dataset import MANIFEST, Corpus
from resp_agent.corpus.schema import SCHEMA, SET_ASIDE_SCHEMA, SPLITS, Recording, to_table
from resp_agent.corpus.sources.found import SetAside
from resp_agent.errors import UserError
from resp_agent.randomness import digest
from resp_agent.taxonomy import LABELS

ROWS_PER_FILE = 500
ROWS_PER_GROUP = 50
"""Small, so that a reader of one recording reads few others."""


def write_corpus(
    recordings: Iterable[Recording],
    out: Path,
    set_aside: Sequence[SetAside] = (),
    notes: Sequence[str] = (),
    info: dict | None = None,
) -> Corpus:
    """Writes recordings as `out` and opens it; at no time does `out` hold half a corpus.

    `recordings` may be an iterator: only `ROWS_PER_GROUP` of each split are held at once. `notes` are sentences for the
    report and `info` is plain data; both go into corpus.json. An earlier corpus at `out` is replaced once the new one
    is whole.

    Raises:
        UserError: `out` holds something else than a corpus, or cannot be written.
        ValueError: a recording's split or label is not in the schema, or an id comes twice.
    """
    out = Path(out)
    with whole(out) as folder:
        hasher = _Contents()
        _write_splits(recordings, folder, hasher)
        for name, chosen in (("excluded", True), ("quarantine", False)):
            rows = [row for row in set_aside if row.excluded == chosen]
            pq.write_table(_set_aside_table(rows), folder / f"{name}.parquet")
        manifest = {
            "schema": SCHEMA.metadata[b"resp_agent_schema"].decode(),
            "fingerprint": digest(*hasher.rows),
            "labels": [label for label in LABELS if label in hasher.train_labels],
            "styles": sorted(hasher.styles),
            "counts": {
                **{split: hasher.counts[split] for split in SPLITS},
                "excluded": sum(row.excluded for row in set_aside),
                "quarantined": sum(not row.excluded for row in set_aside),
                "found": len(hasher.ids) + len(set_aside),
            },
            "notes": list(notes),
            **(info or {}),
        }
        text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
        (folder / MANIFEST).write_text(text, encoding="utf-8")
    return Corpus.open(out)


def prepare(out: Path) -> None:
    """Makes sure, before any work, that a corpus can be put at `out`: its parent folder exists and can be written.

    Raises:
        UserError: `out` holds something else than a corpus, or its folder cannot be written.
    """
    try:
        if out.exists() and not (out.is_dir() and ((out / MANIFEST).is_file() or not any(out.iterdir()))):
            raise UserError(f"the output {out} holds something that is not a corpus: choose another, or empty it first")
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as problem:
        raise UserError(f"the output {out} cannot be written ({problem.strerror}): choose another directory") from None


@contextmanager
def whole(out: Path) -> Iterator[Path]:
    """A directory beside `out` that takes its place when the block ends well, and vanishes when it does not.

    Raises:
        UserError: `out` holds something else than a corpus, or its folder cannot be written.
    """
    prepare(out)
    owner = f"{platform.node()}-{os.getpid()}"
    fresh, old = out.parent / f".{out.name}.{owner}.partial", out.parent / f".{out.name}.{owner}.old"
    for left in out.parent.glob(f".{out.name}.{platform.node()}-*.partial"):
        if not _running(int(left.stem.rpartition("-")[2])):
            shutil.rmtree(left, ignore_errors=True)
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    try:
        yield fresh
        if out.exists():
            out.rename(old)
        fresh.rename(out)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        if old.exists() and not out.exists():
            old.rename(out)
        shutil.rmtree(old, ignore_errors=True)


def _running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


class _Contents:
    """What was written: counts, names, and the rows without audio for the fingerprint (the id stands for the audio)."""

    def __init__(self):
        self.ids: set[str] = set()
        self.counts = Counter()
        self.train_labels: set[str] = set()
        self.styles: set[str] = set()
        self.rows: list[str] = []

    def add(self, recording: Recording) -> None:
        if recording.split not in SPLITS or recording.label not in LABELS:
            raise ValueError(f"recording {recording.id} has split {recording.split!r} and label {recording.label!r}")
        if recording.id in self.ids:
            raise ValueError(f"recording {recording.id} comes twice")
        self.ids.add(recording.id)
        self.counts[recording.split] += 1
        self.styles.add(recording.style)
        if recording.split == "train":
            self.train_labels.add(recording.label)

    def describe(self, table: pa.Table) -> None:
        for row in table.drop_columns("audio").to_pylist():
            self.rows.append(json.dumps(row, sort_keys=True))


def _write_splits(recordings: Iterable[Recording], folder: Path, contents: _Contents) -> None:
    waiting: dict[str, list[Recording]] = {split: [] for split in SPLITS}
    written = Counter()
    writers: dict[str, pq.ParquetWriter] = {}

    def flush(split: str) -> None:
        if not waiting[split]:
            return
        table = to_table(waiting[split])
        if written[split] % ROWS_PER_FILE == 0:
            if split in writers:
                writers[split].close()
            place = folder / "data" / split
            place.mkdir(parents=True, exist_ok=True)
            writers[split] = pq.ParquetWriter(place / f"part-{written[split] // ROWS_PER_FILE:05d}.parquet", SCHEMA)
        writers[split].write_table(table)
        contents.describe(table)
        written[split] += len(waiting[split])
        waiting[split].clear()

    try:
        for recording in recordings:
            contents.add(recording)
            waiting[recording.split].append(recording)
            if len(waiting[recording.split]) == ROWS_PER_GROUP:
                flush(recording.split)
        for split in SPLITS:
            flush(split)
    finally:
        for writer in writers.values():
            writer.close()


def _set_aside_table(rows: Sequence[SetAside]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {"source": r.source, "path": printable(r.path), "source_label": r.source_label, "reason": r.reason}
            for r in rows
        ],
        schema=SET_ASIDE_SCHEMA,
    )


def printable(path: Path) -> str:
    """A path as text; bytes of it that are no UTF-8 stay visible as escapes."""
    return path.as_posix().encode("utf-8", "backslashreplace").decode()
