"""What a language model answered: the plan in its text, held to the labels, styles and levels that there are."""

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

LONGEST_RATIONALE = 600
"""Characters of a rationale that are kept."""
_LONGEST_TEXT = 1 << 16
"""Characters at an answer's end that are looked through."""
_LONGEST_QUOTE = 60
_MOST_FAULTS = 5
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class Answer:
    """A plan that can be carried out."""

    requests: tuple[tuple[int, int, int], ...]
    """Index of label and style, and level of hardness, of each request; at least one."""
    rationale: str


class UnusableAnswer(Exception):
    """An answer that is none; `faults` are sentences that say what is wrong with it."""

    def __init__(self, *faults: str):
        super().__init__("; ".join(faults))
        self.faults = faults


def read_answer(
    text: str, labels: tuple[str, ...], styles: tuple[str, ...], requests: int, hardness_levels: int = 1
) -> Answer:
    """The plan in a text, which may lie within prose or a code fence: the last JSON object that has one.

    Names are compared without regard to case and blanks. Of a plan the first `requests` entries count.

    Raises:
        UnusableAnswer: there is no plan, an entry names what is not there, or there is no rationale.
    """
    if not text.strip():
        raise UnusableAnswer("the answer has no text, or is too large to be read")
    found = _with_plan(text[-_LONGEST_TEXT:])
    plan, rationale = found["plan"], found.get("rationale")
    if not isinstance(plan, list) or not plan:
        raise UnusableAnswer('"plan" is no list of at least one request')
    faults, chosen = [], []
    known = {"label": labels, "style": styles}
    for number, entry in enumerate(plan[:requests], 1):
        if not isinstance(entry, dict):
            faults.append(f"request {number} is no object with a label and a style")
            continue
        places = {factor: _place(entry.get(factor), names) for factor, names in known.items()}
        level = entry.get("hardness", 0)
        for factor, place in places.items():
            if place is None:
                faults.append(f"request {number}: there is no {factor} {_quoted(entry.get(factor))}")
        if type(level) is not int or not 0 <= level < hardness_levels:
            faults.append(
                f"request {number}: hardness {_quoted(level)} is no whole number from 0 to {hardness_levels - 1}"
            )
        chosen.append((places["label"], places["style"], level))
    if not isinstance(rationale, str):
        faults.append('"rationale" is no text')
    if faults:
        raise UnusableAnswer(*faults[:_MOST_FAULTS])
    return Answer(tuple(chosen), plain_text(rationale)[:LONGEST_RATIONALE])


def plain_text(text: str) -> str:
    """A text on one line, without control, format and unpaired surrogate characters."""
    spaced = " ".join(text.split())
    return "".join(letter for letter in spaced if unicodedata.category(letter) not in ("Cc", "Cf", "Cs"))


def _with_plan(text: str) -> dict:
    """The last JSON object in a text that has a key "plan" and lies in no other one."""
    found, at = None, text.find("{")
    while at >= 0:
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            found = value if "plan" in value else found
        at = text.find("{", end)
    if found is None:
        raise UnusableAnswer('the answer holds no complete JSON object with a "plan"')
    return found


def _place(name: object, names: Sequence[str]) -> int | None:
    if not isinstance(name, str):
        return None
    if name in names:
        return names.index(name)
    alike = [place for place, known in enumerate(names) if _folded(known) == _folded(name)]
    return alike[0] if len(alike) == 1 else None


def _folded(name: str) -> str:
    return "".join(name.split()).casefold()


def _quoted(value: object) -> str:
    if isinstance(value, dict | list):
        return "that is a list or an object"
    text = plain_text(value if isinstance(value, str) else json.dumps(value))
    return f'"{text}"' if len(text) <= _LONGEST_QUOTE else f'"{text[:_LONGEST_QUOTE]}..."'
