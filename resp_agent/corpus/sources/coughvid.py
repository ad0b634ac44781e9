"""COUGHVID (Orlandic et al. 2021): coughs that anyone sent in, with what they said of themselves.

`metadata_compiled.csv` has a row a recording, by uuid, which is the file's name. Up to four experts listened to some
of them and wrote what they heard into `quality_1`, `diagnosis_1` and so on. Nothing names a person.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from resp_agent.corpus.sources.cells import age_of, agreed, is_true, rows_of, sex_of
from resp_agent.corpus.sources.found import Found, SetAside, audio_files, first_file

NAME = "coughvid"
TABLE = "metadata_compiled.csv"
DEVICE = "participant's own microphone"
EXPERTS = 4
UNSTATED = "unstated"
"""The source label of a participant who said nothing of themselves."""
NO_COUGH = "experts heard no cough"
COLUMNS = (
    "age", "gender", "respiratory_condition", "fever_muscle_pain", "status",
    *(f"{column}_{expert + 1}" for column in ("quality", "diagnosis") for expert in range(EXPERTS)),
)  # fmt: skip
"""Columns that are read; any of them may be missing, as between the releases of the corpus."""


def read(root: Path) -> Iterator[Found | SetAside]:
    """Each recording below `root`, in the order of folders and names."""
    table = first_file(root, TABLE)
    rows = agreed(
        (row.get("uuid", "").strip(), {column: row.get(column, "") for column in COLUMNS})
        for row in (rows_of(table) if table else ())
    )
    for path in audio_files(root):
        row = rows.get(path.stem)
        if row is None:
            known = "the metadata table says two things of it" if path.stem in rows else None
            yield SetAside(NAME, path, None, known or "its name is no uuid of the metadata table")
            continue
        label = source_label(row)
        if majority(row, "quality") == "no_cough":
            yield SetAside(NAME, path, label, NO_COUGH, excluded=True)
            continue
        yield Found(
            source=NAME,
            path=path,
            patient_id=None,
            source_label=label,
            device=DEVICE,
            age_years=age_of(row["age"]),
            sex=sex_of(row["gender"]),
            symptoms=("fever or muscle pain",) if is_true(row["fever_muscle_pain"]) else (),
            history=("a respiratory condition",) if is_true(row["respiratory_condition"]) else (),
        )


def source_label(row: dict[str, str]) -> str:
    """The participant's own status; where they named no condition, with what most experts heard."""
    status = row["status"]
    if not status.strip():
        return UNSTATED
    heard = majority(row, "diagnosis") if status.strip().lower() == "symptomatic" else None
    return f"{status.strip()}, experts: {heard}" if heard else status


def majority(row: dict[str, str], column: str) -> str | None:
    """What more than half of the experts who filled a column wrote there; None if no word has that many."""
    cells = (row[f"{column}_{expert + 1}"].strip() for expert in range(EXPERTS))
    written = [cell for cell in cells if cell]
    return next((word for word, times in Counter(written).items() if 2 * times > len(written)), None)
