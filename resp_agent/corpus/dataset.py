"""An open corpus: its labels, styles and splits, read from Parquet when they are asked for."""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from resp_agent.corpus.schema import ALL_SPLITS, CYCLES_SCHEMA, SCHEMA, Event, Recording, decode_flac, from_table
from resp_agent.errors import UserError
from resp_agent.storage import fetch, shown
from resp_agent.taxonomy import LABELS

MANIFEST = "corpus.json"
CYCLES = "cycles.parquet"
_REBUILD = "build it again with this version, or give another corpus"


@dataclass(frozen=True)
class Description:
    """What a row says of a recording, without its audio."""

    id: str
    patient_id: str
    label: str
    style: str
    narrative: str
    duration_s: float
    events: tuple[Event, ...]
    age_years: float | None
    sex: str | None
    site: str | None
    symptoms: tuple[str, ...]
    history: tuple[str, ...]
    request: dict | None


class Corpus:
    """A corpus directory that was found sound. Open one with `Corpus.open`."""

    def __init__(self, folder: Path, manifest: dict):
        self.path = folder
        self.manifest = manifest
        self.fingerprint: str = manifest["fingerprint"]
        """Content name: equal if and only if recordings and their metadata are."""
        self.label_set: tuple[str, ...] = tuple(manifest.get("label_set", LABELS))
        """Labels that a row may have, in their order: the taxonomy's, unless the corpus brings its own."""
        self.notes: tuple[str, ...] = tuple(manifest["notes"])
        """Sentences for the report."""
        self.quarantined: int = manifest["counts"]["quarantined"]
        """Recordings that were found and set aside as unreadable or implausible."""
        self._recordings: dict[str, list[Recording]] = {}
        self._descriptions: dict[str, list[Description]] = {}

    @classmethod
    def open(cls, folder: Path) -> "Corpus":
        """Opens and checks a corpus, fetched before if it is a mirror; no audio is decoded.

        Raises:
            UserError: nothing is there, it is no corpus, or its schema is another.
        """
        folder = fetch(Path(folder))
        if not folder.exists():
            raise UserError(f"there is no corpus at {shown(folder)}: check the path, or use `embedded`")
        try:
            manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            corpus = cls(folder, manifest)
            schema = manifest["schema"]
        except (OSError, ValueError, KeyError, TypeError):
            raise UserError(
                f"{shown(folder)} is not a corpus (it has no readable {MANIFEST}): give a directory that a corpus was "
                "built into, or raw recordings as <source>=<path>"
            ) from None
        wanted = SCHEMA.metadata[b"resp_agent_schema"].decode()
        if schema != wanted:
            raise UserError(f"the corpus {folder} has schema {schema!r} and this version reads {wanted!r}: {_REBUILD}")
        for split in ALL_SPLITS:
            held = sum(_check_schema(path) for path in corpus.files(split))
            if held != manifest["counts"].get(split, 0):
                raise UserError(
                    f"the corpus {folder} says that {split} has {manifest['counts'].get(split, 0)} recordings and it "
                    f"has {held}: {_REBUILD}"
                )
        return corpus

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Labels that the train split holds, in the order of `label_set`."""
        return self.held("train")

    @cached_property
    def styles(self) -> tuple[str, ...]:
        """Styles that the train split holds, sorted: those that a generator can learn to render."""
        return tuple(sorted(set(self._column("train", "style"))))

    def held(self, split: str) -> tuple[str, ...]:
        """Labels that a split holds, in the order of `label_set`."""
        present = set(self._column(split, "label"))
        return tuple(label for label in self.label_set if label in present)

    def split(self, name: str) -> list[Recording]:
        """Recordings of a split in stored order, audio decoded; kept after the first call."""
        if name not in self._recordings:
            self._recordings[name] = from_table(self.table(name, SCHEMA.names))
        return self._recordings[name]

    def descriptions(self, name: str) -> list[Description]:
        """What is known of the recordings of a split, in stored order; no audio is read."""
        if name not in self._descriptions:
            rows = self.table(name, [entry.name for entry in fields(Description)]).to_pylist()
            self._descriptions[name] = [_description(row) for row in rows]
        return self._descriptions[name]

    def waveforms(self, name: str, ids: Collection[str] | None = None) -> Iterator[tuple[str, np.ndarray]]:
        """Id and audio of the recordings of a split, or of those with `ids`, a row group in memory at a time."""
        for path in self.files(name):
            file = pq.ParquetFile(path)
            for group in range(file.num_row_groups):
                wanted = file.read_row_group(group, ["id"]).column("id").to_pylist()
                if ids is not None and not any(one in ids for one in wanted):
                    continue
                for one, audio in zip(wanted, file.read_row_group(group, ["audio"]).column("audio"), strict=True):
                    if ids is None or one in ids:
                        yield one, decode_flac(audio["bytes"].as_py())

    def table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Rows of a split as stored; all columns but the audio unless named. Nothing is decoded."""
        if name not in ALL_SPLITS:
            raise ValueError(f"split {name!r} is none of {', '.join(ALL_SPLITS)}")
        columns = [column for column in SCHEMA.names if column != "audio"] if columns is None else list(columns)
        parts = [pq.read_table(path, columns=columns, partitioning=None) for path in self.files(name)]
        return pa.concat_tables(parts) if parts else SCHEMA.empty_table().select(columns)

    def describe(self) -> str:
        """A phrase for people: how much there is."""
        counts = self.manifest["counts"]
        return (
            f"{counts['train']} recordings ({counts['valid']} for validation, {counts['test']} for the test), "
            f"{len(self.labels)} labels, {len(self.styles)} styles"
        )

    def cycles(self) -> pa.Table:
        """Respiratory cycles of the recordings whose source marks them: rows of `CYCLES_SCHEMA`."""
        path = self.path / CYCLES
        return pq.read_table(path) if path.is_file() else CYCLES_SCHEMA.empty_table()

    def excluded(self) -> list[dict]:
        """Rows of `excluded.parquet`: source, path, source_label, reason."""
        return pq.read_table(self.path / "excluded.parquet").to_pylist()

    def quarantine(self) -> list[dict]:
        """Rows of `quarantine.parquet`: source, path, source_label, reason."""
        return pq.read_table(self.path / "quarantine.parquet").to_pylist()

    def files(self, split: str) -> list[Path]:
        """The Parquet files of a split, in stored order."""
        return sorted((self.path / "data" / split).glob("*.parquet"))

    def _column(self, split: str, column: str) -> list:
        return self.table(split, [column]).column(column).to_pylist()


def _description(row: dict) -> Description:
    events = tuple(Event(**event) for event in row.pop("events"))
    return Description(events=events, symptoms=tuple(row.pop("symptoms")), history=tuple(row.pop("history")), **row)


def _check_schema(path: Path) -> int:
    """The number of rows of a file that follows the schema."""
    try:
        file = pq.read_metadata(path)
        schema = file.schema.to_arrow_schema()
    except (OSError, pa.ArrowInvalid):
        raise UserError(f"{path} is not readable as Parquet: {_REBUILD}") from None
    for wanted in SCHEMA:
        if wanted.name not in schema.names or schema.field(wanted.name).type != wanted.type:
            raise UserError(f"{path} has no column {wanted.name!r} of type {wanted.type}: {_REBUILD}")
    return file.num_rows
