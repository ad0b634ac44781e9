"""A corpus directory, written whole or not at all: Parquet by split, what was set aside, and corpus.json."""

import hashlib
import json
import os
import platform
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from resp_agent.corpus.dataset import CYCLES, MANIFEST, Corpus
from resp_agent.corpus.schema import ALL_SPLITS, SCHEMA, SET_ASIDE_SCHEMA, SPLITS, Recording, to_table
from resp_agent.corpus.sources.found import SetAside
from resp_agent.durable import sync
from resp_agent.errors import UserError
from resp_agent.randomness import digest
from resp_agent.storage import children, fetch, is_mirror, publish, shown
from resp_agent.taxonomy import LABELS, UNLABELLED

ROWS_PER_FILE = 500
ROWS_PER_GROUP = 50
"""Small, so that a reader of one recording reads few others."""
_OWN = {"data", "excluded.parquet", "quarantine.parquet", CYCLES}
"""What is on a store of a corpus before its manifest."""


def write_corpus(
    recordings: Iterable[Recording],
    out: Path,
    set_aside: Sequence[SetAside] = (),
    notes: Sequence[str] = (),
    info: dict | None = None,
    label_set: Sequence[str] = LABELS,
) -> Corpus:
    """Writes recordings as `out` and opens it; at no time does `out` hold half a corpus.

    `recordings` may be an iterator: only some `ROWS_PER_GROUP` of each split are held at once. `notes` are sentences
    for the report and `info` is plain data; both go into corpus.json. An earlier corpus at `out` is replaced once the
    new one is whole. `label_set` is what labels are from, in their order; another one than the taxonomy's goes into
    corpus.json too.

    Raises:
        UserError: `out` holds something else than a corpus, or cannot be written.
        ValueError: a recording's split or label is not in the schema, or an id comes twice.
    """
    remaining = iter(recordings)
    tables = (to_table(some) for some in iter(lambda: list(islice(remaining, ROWS_PER_GROUP)), []))
    return write_tables(tables, Path(out), set_aside, notes, info, label_set=label_set)


def write_tables(
    tables: Iterable[pa.Table],
    out: Path,
    set_aside: Sequence[SetAside] = (),
    notes: Sequence[str] = (),
    info: dict | None = None,
    cycles: pa.Table | None = None,
    label_set: Sequence[str] = LABELS,
) -> Corpus:
    """The same as `write_corpus` for tables of `SCHEMA`, of any size and splits; `cycles` is of `CYCLES_SCHEMA`."""
    with whole(out) as folder:
        contents = _Contents(label_set)
        with _Files(folder) as files:
            for table in tables:
                contents.add(table)
                files.add(table)
        for name, chosen in (("excluded", True), ("quarantine", False)):
            rows = [row for row in set_aside if row.excluded == chosen]
            pq.write_table(_set_aside_table(rows), folder / f"{name}.parquet")
        if cycles is not None:
            pq.write_table(cycles, folder / CYCLES)
        manifest = {
            "schema": SCHEMA.metadata[b"resp_agent_schema"].decode(),
            "fingerprint": contents.fingerprint(),
            **({} if tuple(label_set) == LABELS else {"label_set": list(label_set)}),
            "labels": [label for label in label_set if label in contents.train_labels],
            "styles": sorted(contents.styles),
            "counts": {
                **{split: contents.counts[split] for split in ALL_SPLITS},
                "excluded": sum(row.excluded for row in set_aside),
                "quarantined": sum(not row.excluded for row in set_aside),
                "found": len(contents.ids) + len(set_aside),
            },
            "notes": list(notes),
            **(info or {}),
        }
        text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
        (folder / MANIFEST).write_text(text, encoding="utf-8")
        for path in folder.rglob("*"):
            sync(path)
    return Corpus.open(out)


def prepare(out: Path) -> None:
    """Makes sure, before any work, that a corpus can be put at `out`: its parent folder exists and can be written.

    Raises:
        UserError: `out` holds something else than a corpus, or its folder cannot be written.
    """
    try:
        if not out.name or out.is_symlink() or os.path.ismount(out):
            raise UserError(f"the output {out} cannot be replaced as a whole: name a directory below it")
        there = {path.name for path in children(out)} if is_mirror(out) else set()
        if not fetch(out / MANIFEST).exists() and there - _OWN:
            raise UserError(f"{shown(out)} holds something that is not a corpus: choose another place")
        if not there and out.exists() and not (out.is_dir() and ((out / MANIFEST).is_file() or not any(out.iterdir()))):
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
    for left in out.parent.glob(f".{out.name}.{platform.node()}-*.*"):
        process = left.stem.rpartition("-")[2]
        if left.suffix in (".partial", ".old") and process.isdecimal() and not _running(int(process)):
            # Killed between two renames: the earlier corpus is the one that there is.
            if left.suffix == ".old" and not out.exists():
                left.rename(out)
            shutil.rmtree(left, ignore_errors=True)
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    try:
        yield fresh
        publish(fresh, at=out, seal=MANIFEST)
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
    """What was written: counts, names, and a digest of the rows without audio (the id stands for the audio)."""

    def __init__(self, label_set: Sequence[str]):
        self._label_set = tuple(label_set)
        self.ids: set[str] = set()
        self.counts = Counter()
        self.train_labels: set[str] = set()
        self.styles: set[str] = set()
        self._rows = {split: hashlib.blake2b(digest_size=16) for split in ALL_SPLITS}

    def add(self, table: pa.Table) -> None:
        for row in table.drop_columns("audio").to_pylist():
            name, split, label = row["id"], row["split"], row["label"]
            if split not in ALL_SPLITS or label not in self._allowed(split):
                raise ValueError(f"recording {name} has split {split!r} and label {label!r}")
            if name in self.ids:
                raise ValueError(f"recording {name} comes twice")
            self.ids.add(name)
            self.counts[split] += 1
            self.styles.add(row["style"])
            if split == "train":
                self.train_labels.add(label)
            self._rows[split].update(json.dumps(row, sort_keys=True).encode() + b"\n")

    def _allowed(self, split: str) -> tuple[str, ...]:
        return self._label_set if split in SPLITS else (*self._label_set, UNLABELLED)

    def fingerprint(self) -> str:
        return digest(*(self._rows[split].hexdigest() for split in ALL_SPLITS))


class _Files:
    """The Parquet files of every split, in groups and files of the stated size however rows arrive."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._waiting: dict[str, list[pa.Table]] = {split: [] for split in ALL_SPLITS}
        self._written = Counter()
        self._writers: dict[str, pq.ParquetWriter] = {}

    def __enter__(self) -> "_Files":
        return self

    def __exit__(self, kind, *_) -> None:
        try:
            for split in ALL_SPLITS if kind is None else ():
                self._flush(split, 1)
        finally:
            for writer in self._writers.values():
                writer.close()

    def add(self, table: pa.Table) -> None:
        for split in ALL_SPLITS:
            chosen = table.filter(pc.equal(table["split"], split))
            if len(chosen):
                self._waiting[split].append(chosen)
                self._flush(split, ROWS_PER_GROUP)

    def _flush(self, split: str, least: int) -> None:
        """Writes what waits, in groups; what is left is fewer than `least` rows."""
        if sum(map(len, self._waiting[split])) < least:
            return
        table = pa.concat_tables(self._waiting[split])
        start = 0
        while len(table) - start >= least:
            group = table.slice(start, ROWS_PER_GROUP)
            # One chunk a group, or pages would tell how rows came together.
            self._writer(split).write_table(group.combine_chunks())
            self._written[split] += len(group)
            start += len(group)
        self._waiting[split] = [table.slice(start)] if start < len(table) else []

    def _writer(self, split: str) -> pq.ParquetWriter:
        number, within = divmod(self._written[split], ROWS_PER_FILE)
        if not within:
            if split in self._writers:
                self._writers[split].close()
            path = self._folder / "data" / split / f"part-{number:05d}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            # FLAC has no repeated values for a dictionary, and nobody asks for the smallest one.
            columns = [name for name in SCHEMA.names if name != "audio"]
            self._writers[split] = pq.ParquetWriter(path, SCHEMA, use_dictionary=columns, write_statistics=columns)
        return self._writers[split]


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
    return visible(path.as_posix())


def visible(text: str | None) -> str | None:
    """Text in which what is no Unicode, such as bytes of a file's name, is escaped."""
    return text if text is None else text.encode("utf-8", "backslashreplace").decode()
