"""The narratives of a corpus: by the template at once, or by a model on workers, part by part."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from resp_agent.corpus import listing
from resp_agent.corpus.assembly import Assembly
from resp_agent.corpus.bulk import Progress, Runner
from resp_agent.corpus.narrative.facts import Facts
from resp_agent.corpus.narrative.narrators import Item, Written, make_narrator, narrate
from resp_agent.randomness import digest
from resp_agent.settings import CorpusSettings, NarrativeSettings
from resp_agent.storage import fetch

VERSION = 1
"""Raised when prompt or check change."""
RECORD = [
    "id", "source", "patient_id", "label", "events", "normal_breaths", "duration_s", "site", "age_years", "sex",
    "symptoms", "history",
]  # fmt: skip
_WRITTEN = pa.schema([("text", pa.string()), ("source", pa.string())])


@dataclass(frozen=True)
class Narration:
    """The work on parts that hold records: a file of narratives for each, in `folder`, of the same name."""

    settings: NarrativeSettings
    seed: int
    folder: Path

    @property
    def heavy(self) -> bool:
        """Whether the model is in this process."""
        return self.settings.writer == "transformers"

    def start(self) -> "Writer":
        """A worker with a model of its own."""
        return Writer(self)


class Writer:
    """A worker of `Narration`."""

    def __init__(self, work: Narration):
        self._work = work
        self._narrator = make_narrator(work.settings)

    def __call__(self, part: Path) -> int:
        """Writes the narratives of a part's records and returns how many there are."""
        written = narrate(items(pq.read_table(fetch(part))), self._narrator, self._work.seed)
        listing.write_table(_table(written), self._work.folder / part.name)
        return len(written)

    def close(self) -> None:
        """Gives up the model."""
        self._narrator = None


def narrated(
    assembly: Assembly, settings: CorpusSettings, place: Path, run: Runner, tell: Progress
) -> Iterator[pa.Table]:
    """The assembly's tables with their narratives; `place` keeps what a model wrote until the corpus is whole."""
    names = _written_by_model(assembly, settings, place, run, tell) if settings.narrative.writer != "template" else None
    done = 0
    for number, table in enumerate(assembly.tables()):
        if names is None:
            written = _table(narrate(items(records(table)), None, settings.seed))
        else:
            written = pq.read_table(fetch(place / "narratives" / names[number]))
        yield _with(table, written)
        done += len(table)
        tell("stored", done, assembly.kept)


def records(table: pa.Table) -> pa.Table:
    """What of a corpus's rows bears on their narratives."""
    return table.select(RECORD).append_column("file", pc.struct_field(table["audio"], "path"))


def items(records: pa.Table) -> list[Item]:
    """What may be told of each record, and what may not."""
    return [_item(row) for row in records.to_pylist()]


def _item(row: dict) -> Item:
    counts: dict[str, int] = {}
    for event in row["events"]:
        counts[event["kind"]] = counts.get(event["kind"], 0) + 1
    facts = Facts(
        age_years=row["age_years"],
        sex=row["sex"],
        site=row["site"],
        symptoms=tuple(row["symptoms"]),
        history=tuple(row["history"]),
        events=tuple(sorted(counts.items())),
        normal_breaths=row["normal_breaths"],
        duration_s=row["duration_s"],
    )
    return Item(row["id"], facts, row["label"], (row["id"], row["patient_id"], row["source"], Path(row["file"]).stem))


def _written_by_model(
    assembly: Assembly, settings: CorpusSettings, place: Path, run: Runner, tell: Progress
) -> list[str]:
    """Has a model write what it did not write before a kill, and returns the name of each table's file."""
    names, missing, done = [], [], 0
    work = Narration(settings.narrative, settings.seed, place / "narratives")
    for table in assembly.tables():
        asked = records(table)
        rows = (str(row) for row in asked.to_pylist())
        names.append(f"{digest(VERSION, settings.seed, str(asdict(settings.narrative)), *rows)}.parquet")
        if fetch(work.folder / names[-1]).exists():
            done += len(table)
        else:
            missing.append(place / "facts" / names[-1])
            listing.write_table(asked, missing[-1])
    for count in run(work, missing):
        done += count
        tell("written", done, assembly.kept)
    return names


def _table(written: list[Written]) -> pa.Table:
    return pa.Table.from_pylist([{"text": one.text, "source": one.source} for one in written], schema=_WRITTEN)


def _with(table: pa.Table, written: pa.Table) -> pa.Table:
    for name, column in (("narrative", "text"), ("narrative_source", "source")):
        place = table.column_names.index(name)
        table = table.set_column(place, table.schema.field(name), written[column])
    return table
