"""What a record tells to whoever writes its narrative: the allow-listed fields and nothing else."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from resp_agent.corpus.narrative.giveaways import hints, identifies, names_condition, names_place, names_test
from resp_agent.corpus.narrative.template import spoken_age
from resp_agent.taxonomy import EVENT_KINDS

LONGEST_ENTRY = 80
"""Letters of the longest entry that is told; longer ones are prose, not an entry."""
_WORD = "[A-Za-z]+(?:['/-][A-Za-z]+)*"
# A letter alone at the end would read as an initial before a full stop.
_ENTRY = re.compile(rf"{_WORD}(?:,? {_WORD}| \({_WORD}(?: {_WORD})*\))*(?<=[A-Za-z][A-Za-z)])")
_SEXES = {"f": "female", "female": "female", "m": "male", "male": "male"}


@dataclass(frozen=True)
class Facts:
    """The fields of a record that a narrative may be made of; what may not be told is left out on making it.

    Left out are entries of site, symptoms and history that name a condition, a test or a hospital, or that are no plain
    words, and symptoms and history that hint at a label, as treatments do.

    Raises:
        ValueError: an event's kind is none of `taxonomy.EVENT_KINDS`.
    """

    age_years: float | None = None
    sex: str | None = None
    """`female`, `male` or None."""
    site: str | None = None
    symptoms: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    events: tuple[tuple[str, int], ...] = ()
    """Kinds of events, each with how often it is heard."""
    normal_breaths: int | None = None
    duration_s: float | None = None

    def __post_init__(self):
        unknown = [kind for kind, _ in self.events if kind not in EVENT_KINDS]
        if unknown:
            raise ValueError(f"event {unknown[0]!r} is none of: {', '.join(EVENT_KINDS)}")
        kept = {
            "age_years": self.age_years if self.age_years is not None and 0 <= self.age_years < 150 else None,
            "sex": _SEXES.get((self.sex or "").strip().lower()),
            "site": next(iter(_tellable([self.site or ""])), None),
            "symptoms": tuple(entry for entry in _tellable(self.symptoms) if not hints(entry)),
            "history": tuple(entry for entry in _tellable(self.history) if not hints(entry)),
            "events": tuple((kind, count) for kind, count in self.events if count > 0),
        }
        for name, value in kept.items():
            object.__setattr__(self, name, value)

    def told(self) -> dict:
        """The fields as plain values for a prompt, without those that are missing; the age as it is said."""
        told: dict = {}
        if self.age_years is not None:
            count, unit = spoken_age(self.age_years)
            told["age"] = f"{count} {unit}{'' if count == 1 else 's'}"
        if self.sex:
            told["sex"] = self.sex
        if self.site:
            told["site"] = self.site
        if self.symptoms:
            told["symptoms"] = list(self.symptoms)
        if self.history:
            told["history"] = list(self.history)
        if self.events:
            told["sounds_heard"] = {kind.replace(" + ", " with "): count for kind, count in self.events}
        if self.normal_breaths:
            told["normal_breaths"] = self.normal_breaths
        if self.duration_s:
            told["recording_seconds"] = round(self.duration_s) if self.duration_s >= 1 else round(self.duration_s, 1)
        return told


def _tellable(entries: Iterable[str]) -> list[str]:
    return [entry for entry in (" ".join(one.replace("_", " ").split()) for one in entries) if _may_be_told(entry)]


@lru_cache(maxsize=4096)
def _may_be_told(entry: str) -> bool:
    return (
        len(entry) <= LONGEST_ENTRY
        and _ENTRY.fullmatch(entry) is not None
        and not names_condition(entry)
        and not names_test(entry)
        and not names_place(entry)
        and not identifies(f"{entry} and", (), lambda word: True)
    )
