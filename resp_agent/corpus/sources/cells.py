"""Cells of the tables that sources bring, read the same way everywhere."""

import csv
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

NOTHING = ("nan", "na", "n/a", "<na>", "none", "null")
"""Lower-case words that programs write for an empty cell."""
OLDEST_YEARS = 130.0
"""Ages above are mistakes."""


def rows_of(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a csv by its header, with "" for what is missing. A damaged table ends where the damage begins."""
    try:
        with path.open(encoding="utf-8-sig", errors="backslashreplace", newline="") as file:
            for row in csv.DictReader(file):
                # Cells past the header come as a list under None.
                yield {name.strip(): _cell(cell) for name, cell in row.items() if name is not None}
    except (OSError, csv.Error):
        return


def agreed(pairs: Iterable[tuple[str, Any]], said: Callable[[Any], object] = lambda value: value) -> dict[str, Any]:
    """What a table says of each name: its first value, or None where a later one says something else.

    `said` gives what of a value must agree.
    """
    values: dict[str, Any] = {}
    for name, value in pairs:
        first = values.setdefault(name, value)
        if first is not None and said(first) != said(value):
            values[name] = None
    return values


def age_of(cell: str) -> float | None:
    """Age in years; None where a cell is no single plausible number, such as "18-44"."""
    try:
        age_years = float(cell)
    except ValueError:
        return None
    return age_years if 0 <= age_years <= OLDEST_YEARS else None


def sex_of(cell: str) -> str | None:
    """`female` or `male`, from the word or its letter; None for anything else."""
    return {"female": "female", "f": "female", "male": "male", "m": "male"}.get(cell.strip().lower())


def is_true(cell: str) -> bool:
    """Whether a cell says yes: true, yes, or the number 1."""
    return cell.strip().lower() in ("true", "yes", "1", "1.0")


def _cell(cell: str | None) -> str:
    return "" if cell is None or cell.strip().lower() in NOTHING else cell
