"""The 16 classes, the event kinds, and every source's own words mapped onto them.

`taxonomy.csv` is the one table of conditions: `source,source_label,label,reason`, where a row has a label or, for what
is left out, the reason. A word is found whatever its case and blanks.
"""

import csv
import io
from dataclasses import dataclass
from importlib.resources import files

from resp_agent.randomness import digest

CONTROL = "control group"

LABELS = (
    CONTROL,
    "COVID-19",
    "pneumonia",
    "COPD",
    "asthma",
    "bronchitis",
    "bronchiolitis",
    "bronchiectasis",
    "upper respiratory tract infection",
    "lower respiratory tract infection",
    "chronic cough",
    "hemoptysis",
    "airway foreign body",
    "pulmonary hemosiderosis",
    "protracted bacterial bronchitis",
    "other respiratory disease",
)
"""Labels in a fixed order: 15 conditions and the control group (Resp-229k)."""

UNLABELLED = "unlabelled"
"""Recordings that nobody diagnosed; only in split none, for pretraining. Not one of `LABELS`."""

EVENT_KINDS = (
    "fine crackle",
    "coarse crackle",
    "wheeze",
    "wheeze + crackle",
    "rhonchus",
    "stridor",
    "cough",
    "rub",
)
"""What is marked with start and end. Normal breaths are counted, not stored."""

SOURCE_EVENTS: dict[str, dict[str, str]] = {
    # ICBHI does not say fine or coarse. Its patients are mostly adults with COPD and bronchiectasis, where crackles are
    # early and coarse (Bohadana et al., NEJM 2014), so that is the likelier word.
    "icbhi": {
        "crackle": "coarse crackle",
        "wheeze": "wheeze",
        "both": "wheeze + crackle",
    },
    "sprsound": {
        "Fine Crackle": "fine crackle",
        "Coarse Crackle": "coarse crackle",
        "Wheeze": "wheeze",
        "Wheeze+Crackle": "wheeze + crackle",
        "Rhonchi": "rhonchus",
        "Stridor": "stridor",
    },
    # D is a discontinuous adventitious sound: always crackles, never said to be fine or coarse (Hsu et al. 2021). Its
    # patients were in emergency, critical or respiratory care, where crackles are mostly of secretions and coarse.
    "hflung": {
        "D": "coarse crackle",
        "Wheeze": "wheeze",
        "Rhonchi": "rhonchus",
        "Stridor": "stridor",
    },
}
"""Per source: its own word for an adventitious sound (ICBHI: for what is heard in a cycle) -> the event kind here.
Normal breaths are counted, not mapped."""


@dataclass(frozen=True)
class Place:
    """Where a source's word belongs: a label, or nowhere for a reason. One of them is None."""

    label: str | None
    reason: str | None


class UnmappedLabel(KeyError):
    """A source's word that the taxonomy does not map; the message names source and word."""

    def __str__(self):
        return self.args[0]


def plain(word: str) -> str:
    """A source's word as words are compared: without case, outer blanks and runs of inner ones."""
    return " ".join(word.split()).casefold()


def read_places(text: str, source: str | None = None) -> dict[str, dict[str, Place]]:
    """The table that a csv holds: source -> `plain` word -> place. With `source`, the table has no such column.

    Raises:
        ValueError: the columns are others, or a row has another number of cells, maps no word or one again, has a label
            that is none of `LABELS`, or has both or neither of label and reason; the message names the row.
    """
    try:
        header, *rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row] or [[]]
    except csv.Error as problem:
        raise ValueError(f"it is no csv table: {problem}") from None
    wanted = ["source_label", "label", "reason"] if source else ["source", "source_label", "label", "reason"]
    if header != wanted:
        raise ValueError(f"its columns are {','.join(header)!r} instead of {','.join(wanted)!r}")
    table: dict[str, dict[str, Place]] = {}
    for row in rows:
        if len(row) != len(wanted):
            raise ValueError(f"row {','.join(row)!r} has not {len(wanted)} cells")
        *owner, word, label, reason = row
        words = table.setdefault(source or owner[0], {})
        if not plain(word) or plain(word) in words:
            raise ValueError(f"row {','.join(row)!r} maps {'a word again' if plain(word) else 'no word'}")
        if bool(label) == bool(reason):
            raise ValueError(f"row {','.join(row)!r} needs a label or a reason why there is none, and not both")
        if label and label not in LABELS:
            raise ValueError(f"row {','.join(row)!r} has a label that is none of: {', '.join(LABELS)}")
        words[plain(word)] = Place(label or None, reason or None)
    return table


_TABLE = files("resp_agent").joinpath("taxonomy.csv").read_text(encoding="utf-8")
PLACES = read_places(_TABLE)
"""Source -> `plain` word -> place, of `taxonomy.csv`."""


def table_digest() -> str:
    """A content name of the table."""
    return digest(_TABLE)


def place_of(source: str, source_label: str) -> Place:
    """Where a source's own word belongs.

    Raises:
        UnmappedLabel: the word is not in the table; the message names source and word.
    """
    try:
        return PLACES[source][plain(source_label)]
    except KeyError:
        raise UnmappedLabel(f"{source} calls a condition {source_label!r}, which the taxonomy does not map") from None
