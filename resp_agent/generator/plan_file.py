"""What to synthesize, as a table: a CSV with a request in each row."""

import csv
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from resp_agent.curriculum.request import Request
from resp_agent.errors import UserError
from resp_agent.randomness import seed_of

NEEDED = ("label", "style", "count")
OPTIONAL = ("content", "duration_s", "hardness", "seed")
SHOWN = 10
"""Wrong rows that are told; how many more there are is told too."""


def read_plan(path: Path, content: str, seed: int) -> list[Request]:
    """The requests of a CSV with the columns `label`, `style`, `count`, and, where a row should not have the default,
    `content`, `duration_s`, `hardness` and `seed`.

    Args:
        content: of rows that name none.
        seed: from which rows that name none draw one of their own.

    Raises:
        UserError: the file cannot be read, or rows are wrong: all of them are told.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, restkey="", strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise UserError(f"the plan {path} cannot be read ({problem}): give a CSV with {', '.join(NEEDED)}") from None
    if not rows:
        raise UserError(f"the plan {path} has no rows: give a CSV with {', '.join(NEEDED)} and a request in each row")
    columns = set(rows[0]) - {""}
    absent, unknown = [name for name in NEEDED if name not in columns], sorted(columns - {*NEEDED, *OPTIONAL})
    if absent or unknown:
        told = [f"has no column {name!r}" for name in absent] + [f"has an unknown column {name!r}" for name in unknown]
        raise UserError(f"the plan {path} {' and '.join(told)}: it takes {', '.join((*NEEDED, *OPTIONAL))}")
    requests, wrong, asked = [], [], {}
    for number, row in enumerate(rows):
        # The header is line 1.
        line = number + 2
        try:
            request = _request(row, number, content, seed)
            earlier = asked.setdefault(replace(request, count=1), line)
            if earlier != line:
                raise ValueError(f"it asks for the clips of line {earlier} again: give it another seed")
            requests.append(request)
        except ValueError as problem:
            wrong.append(f"line {line}: {problem}")
    _refuse(wrong, path)
    return requests


def refuse_unknown(requests: Sequence[Request], labels: Collection[str], styles: Collection[str]) -> None:
    """Refuses requests for what a generator's training split never had.

    Raises:
        UserError: it names all of them, and what there is.
    """
    asked = {request.label for request in requests} - set(labels)
    heard = {request.style for request in requests} - set(styles)
    told = [f"no recording of the label {label!r}" for label in sorted(asked)]
    told += [f"none in the style {style!r}" for style in sorted(heard)]
    if told:
        ways = [f"its labels are {', '.join(labels)}"] if asked else []
        ways += [f"its styles are {', '.join(styles)}"] if heard else []
        raise UserError(f"the generator has learned from {', '.join(told)}: {'; '.join(ways)}")


def in_parts(requests: Sequence[Request], most: int) -> list[Request]:
    """Requests of at most `most` clips each, which together ask for the same; each part draws from a seed of its own.

    How a request is divided depends on nothing but itself, so it gives the same clips to any number of workers.
    """
    return [
        replace(request, count=min(most, request.count - first), seed=seed_of(request.seed, "part", first // most))
        for request in requests
        for first in range(0, request.count, most)
    ]


def _request(row: dict, number: int, content: str, seed: int) -> Request:
    if row.get(""):
        raise ValueError(f"it has {len(row['']) + len(row) - 1} fields, more than there are columns")
    given = {name: (value or "").strip() for name, value in row.items() if name}
    for name in NEEDED:
        if not given[name]:
            raise ValueError(f"it names no {name}")
    duration = given.get("duration_s")
    return Request(
        given["label"],
        given["style"],
        _number(int, "count", given["count"]),
        _number(int, "seed", given["seed"]) if given.get("seed") else seed_of(seed, "plan", number),
        given.get("content") or content,
        _number(float, "hardness", given.get("hardness") or "0"),
        _number(float, "duration_s", duration) if duration else None,
    )


def _number(kind: type, name: str, text: str):
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"its {name} {text!r} is no {'whole ' if kind is int else ''}number") from None


def _refuse(wrong: list[str], path: Path) -> None:
    if wrong:
        more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise UserError(f"the plan {path} has wrong rows: {'; '.join(wrong[:SHOWN])}{more}")
