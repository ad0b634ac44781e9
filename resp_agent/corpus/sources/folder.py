"""A user's own recordings: a folder with `metadata.csv` at any level, the audiofolder convention of Hugging Face.

Each has a row a recording, and of these columns only `file_name` must be there:

| column       | holds                                                                                        |
|--------------|----------------------------------------------------------------------------------------------|
| `file_name`  | path from the folder of the csv, with forward slashes                                        |
| `label`      | the condition: a label, a common synonym, or a word of `labels.csv`; empty where undiagnosed |
| `patient_id` | any name of the patient, for splits; without it every recording is a patient of its own      |
| `device`     | what recorded it                                                                             |
| `site`       | where on the body, such as `posterior left chest`                                            |
| `age_years`  | years, from 0 to 130, fractions allowed                                                      |
| `sex`        | female, male, f, m, other or unknown                                                         |
| `symptoms`   | words, separated by `;`                                                                      |
| `history`    | words, separated by `;`                                                                      |
| `split`      | the split that the data came with; kept, and not used                                        |
| `events`     | kind, start and end in seconds, separated by `;`: `wheeze 0.5 1.2; fine crackle 2 2.4`       |

`labels.csv` beside the top `metadata.csv` may map words of the user's own: `source_label,label,reason`, as in the
taxonomy's table.
"""

import csv
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from resp_agent.corpus.schema import Event
from resp_agent.corpus.sources.cells import age_of, sex_of
from resp_agent.corpus.sources.found import BadAnnotation, Found, SetAside, audio_files, everything, read_text
from resp_agent.errors import UserError
from resp_agent.taxonomy import EVENT_KINDS, Place, plain, read_places

NAME = "folder"
TABLE = "metadata.csv"
LABELS_TABLE = "labels.csv"
COLUMNS = (
    "file_name", "label", "patient_id", "device", "site", "age_years", "sex", "symptoms", "history", "split", "events",
)  # fmt: skip
NO_SEX = ("", "other", "unknown")
EXAMPLE = "file_name,label,patient_id"
EXAMPLE_ROW = "visit-1/left.wav,asthma,p01"
_SURPLUS = "surplus"
_EVENT = re.compile(r"(.+?)\s+(\S+)\s+(\S+)")


def read(root: Path) -> Iterator[Found | SetAside]:
    """Each recording below `root` in the order of folders and names, then rows of tables whose file is not there.

    Raises:
        UserError: there is no `metadata.csv`, or a table is damaged, has a column that is not known or lacks
            `file_name`, or `labels.csv` is no table of places.
    """
    tables = [path for path in everything(root) if path.name == TABLE and os.path.isfile(path)]
    if not tables:
        raise UserError(
            f"there is no {TABLE} in {root}: make one with a header such as {EXAMPLE!r} and a line for each recording "
            f"such as {EXAMPLE_ROW!r}"
        )
    places = _places(min(tables, key=lambda path: len(path.parts)).with_name(LABELS_TABLE))
    rows, strays = defaultdict(list), []
    for table in tables:
        for row in _rows(table):
            try:
                path = _path(table, row["file_name"])
                rows[_key(path)].append((path, row))
            except BadAnnotation as problem:
                strays.append(SetAside(NAME, table, row["label"], str(problem)))
    for path in audio_files(root):
        yield _recording(path, [row for _, row in rows.pop(_key(path), [])], places)
    for (path, row), *_ in rows.values():
        there = os.path.isfile(path)
        reason = "its name does not end like that of an audio file" if there else "it does not exist"
        yield SetAside(NAME, path, row["label"], reason)
    yield from strays


def parse_events(text: str) -> tuple[Event, ...]:
    """The events of a cell, such as `wheeze 0.5 1.2; fine crackle 2 2.4`.

    Raises:
        BadAnnotation: an entry is not a kind of `EVENT_KINDS` and two rising times in seconds.
    """
    events = []
    for entry in filter(None, map(str.strip, text.split(";"))):
        parts = _EVENT.fullmatch(entry)
        try:
            kind, start_s, end_s = plain(parts.group(1)), float(parts.group(2)), float(parts.group(3))
        except (AttributeError, ValueError):
            raise BadAnnotation("its events are not kind, start and end, separated by semicolons") from None
        if kind not in EVENT_KINDS:
            raise BadAnnotation(f"its events hold {kind[:40]!r}, which is none of: {', '.join(EVENT_KINDS)}")
        if not 0 <= start_s < end_s < float("inf"):
            raise BadAnnotation("its events hold one that does not end after it starts")
        events.append(Event(start_s, end_s, kind))
    return tuple(events)


def _recording(path: Path, rows: list[dict[str, str]], places: dict[str, Place]) -> Found | SetAside:
    if len(rows) != 1:
        reason = f"it is listed twice in {TABLE}" if rows else f"it is in no {TABLE}"
        return SetAside(NAME, path, None, reason)
    (row,) = rows
    label = row["label"] if row["label"].strip() else ""
    cells = {column: cell.strip() for column, cell in row.items()}
    try:
        if cells[_SURPLUS]:
            raise BadAnnotation("its row has more cells than the header")
        age_years = age_of(cells["age_years"])
        if cells["age_years"] and age_years is None:
            raise BadAnnotation("its age is no number of years from 0 to 130")
        if sex_of(cells["sex"]) is None and cells["sex"].lower() not in NO_SEX:
            raise BadAnnotation("its sex is none of: female, male, f, m, other, unknown")
        events = parse_events(cells["events"])
    except BadAnnotation as problem:
        return SetAside(NAME, path, label, str(problem))
    return Found(
        source=NAME,
        path=path,
        patient_id=f"{NAME}:{cells['patient_id']}" if cells["patient_id"] else None,
        source_label=label,
        device=cells["device"] or None,
        site=cells["site"] or None,
        age_years=age_years,
        sex=sex_of(cells["sex"]),
        symptoms=_list(cells["symptoms"]),
        history=_list(cells["history"]),
        events=events,
        official_split=cells["split"] or None,
        place=places.get(plain(label)),
    )


def _path(table: Path, file_name: str) -> Path:
    """The file that a row names.

    Raises:
        BadAnnotation: it names none, or one that is not below the folder of its table.
    """
    name = PurePosixPath(file_name.strip())
    if not name.parts:
        raise BadAnnotation("a row names no file")
    if name.is_absolute() or ".." in name.parts or "\0" in file_name:
        raise BadAnnotation("a row names a file that is not in the folder of the table")
    return table.parent / name


def _key(path: Path) -> tuple[str, str]:
    """The same for every way to a file through links to folders."""
    return os.path.realpath(path.parent), path.name


def _rows(table: Path) -> Iterator[dict[str, str]]:
    """Rows of a table with all of `COLUMNS`, "" for what is missing, and `_SURPLUS` for cells past the header."""
    try:
        with table.open(encoding="utf-8-sig", errors="backslashreplace", newline="") as file:
            header, *rows = [row for row in csv.reader(file, strict=True) if any(map(str.strip, row))] or [[]]
    except (OSError, csv.Error) as problem:
        raise UserError(f"the table {table} cannot be read ({problem}): write it anew as a csv in UTF-8") from None
    header = [name.strip() for name in header]
    for name in header:
        if name not in COLUMNS:
            raise UserError(f"the table {table} has a column {name!r}, which is none of: {', '.join(COLUMNS)}")
        if header.count(name) > 1:
            raise UserError(f"the table {table} has a column {name!r} twice: keep one")
    if "file_name" not in header:
        raise UserError(f"the table {table} has no column 'file_name': give it a header such as {EXAMPLE!r}")
    for row in rows:
        surplus = "".join(row[len(header) :])
        yield dict.fromkeys(COLUMNS, "") | dict(zip(header, row, strict=False)) | {_SURPLUS: surplus}


def _places(path: Path) -> dict[str, Place]:
    """The user's own words, `plain` -> place; empty without a table."""
    if not path.is_file():
        return {}
    try:
        return read_places(read_text(path), NAME).get(NAME, {})
    except ValueError as problem:
        raise UserError(f"the table {path} is not understood: {problem}") from None


def _list(cell: str) -> tuple[str, ...]:
    return tuple(filter(None, map(str.strip, cell.split(";"))))
