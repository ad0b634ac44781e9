"""Reading a sentence of a narrative against its record: what it states, whether that holds, and what is left over."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from resp_agent.corpus.narrative.facts import Facts
from resp_agent.corpus.narrative.meanings import EVENTS, PEOPLE, SITES, SYMPTOMS
from resp_agent.corpus.narrative.numbers import Mention, false_numbers, fold, is_breath
from resp_agent.corpus.narrative.vocabulary import (
    NEGATION,
    NEUTRAL,
    NEUTRAL_PHRASES,
    SEVERITY,
    TIME,
    Phrase,
    words_of,
)

_TOKEN = re.compile(r"[a-z]+(?:'[a-z]+)*|\d+(?:\.\d+)?|[.,;:()+]")
_MARKS = frozenset(",;:()+")
_PHRASES = frozenset({*SYMPTOMS, *EVENTS, *SITES, *PEOPLE, *NEUTRAL_PHRASES})
_LONGEST = max(map(len, _PHRASES))
_COMMON = NEUTRAL.union(*_PHRASES)
_NORMAL = ("normal", "clear", "vesicular")
_SOUNDS = words_of("breath breaths breathing cycle cycles sound sounds respirations")
_REFUSED = (
    (NEGATION, "it says what is not, or denies"),
    (SEVERITY, "it speaks of severity or course"),
    (TIME, "it speaks of a time that is neither the age nor the recording's length"),
)
_UNTRUE = "it states what the record does not"


def read_sentences(line: str, facts: Facts) -> list["Sentence"]:
    """The sentences of a plain text, read against what its record tells."""
    known = _known(facts)
    return [Sentence(words, facts, known) for words in _tokens(line)]


def is_common(word: str, facts: Facts) -> bool:
    """Whether a lower-case word is one of any narrative, or of this record's entries."""
    return word in _COMMON or word in _known(facts).words


class Sentence:
    """A sentence that was read: `false` has what does not hold, as reason and words, `unknown` the words left over."""

    def __init__(self, words: list[str], facts: Facts, known: "_Known"):
        self._words, self._facts, self._known = words, facts, known
        self._clear = [word in _MARKS for word in words]
        self.false: list[tuple[str, str]] = []
        self.unknown: list[str] = []
        self._clear_entries()
        phrases = list(_phrases(words))
        mentions: list[Mention] = [(start, end, EVENTS[phrase]) for start, end, phrase in phrases if phrase in EVENTS]
        self.false += false_numbers(words, facts, mentions, self._clear)
        self._read_phrases(phrases)
        self._read_normal()
        self._sort_the_rest()

    def _clear_entries(self) -> None:
        """Entries of the record may stand in their own words: in a row or, if nothing limits them, close together."""
        for entry in self._known.entries:
            size, words = len(entry), self._words
            for start in range(len(words) - size + 1):
                if tuple(words[start : start + size]) == entry:
                    self._clear[start : start + size] = [True] * size
            telling = {word for word in entry if word == "or" or word not in NEUTRAL} - _MARKS
            if not telling or telling & _LIMITS or any(word.isdigit() for word in telling):
                continue
            for start in range(len(words)):
                near = [at for at in range(start, min(start + size + 3, len(words))) if not self._clear[at]]
                if telling <= {words[at] for at in near}:
                    for at in near:
                        self._clear[at] = words[at] in telling

    def _read_phrases(self, phrases: list[tuple[int, int, Phrase]]) -> None:
        for start, end, phrase in phrases:
            if phrase not in _PHRASES or all(self._clear[start:end]):
                continue
            self._clear[start:end] = [True] * (end - start)
            if phrase in PEOPLE:
                if not self._fits(*PEOPLE[phrase]):
                    self.false.append(("it speaks of another age or sex than the record's", " ".join(phrase)))
            elif not self._holds(phrase):
                self.false.append((_UNTRUE, " ".join(phrase)))

    def _holds(self, phrase: Phrase) -> bool:
        known = self._known
        return (
            phrase in NEUTRAL_PHRASES
            or bool(SYMPTOMS.get(phrase, frozenset()) & known.meanings)
            or (phrase in EVENTS and all(group & known.kinds for group in EVENTS[phrase]))
            or SITES.get(phrase) in known.site
        )

    def _fits(self, sex: str | None, ages: tuple[float, float] | None) -> bool:
        age_years = self._facts.age_years
        if sex and sex != self._facts.sex:
            return False
        return not ages or (age_years is not None and ages[0] <= age_years < ages[1])

    def _read_normal(self) -> None:
        """Sounds are normal where normal breaths and no events were marked; normal breaths may be beside events."""
        words = self._words
        for at, word in enumerate(words):
            if word not in _NORMAL or self._clear[at]:
                continue
            self._clear[at] = True
            near = range(max(0, at - 3), min(at + 4, len(words)))
            breaths = any(is_breath(words, place) for place in near)
            heard = self._facts.normal_breaths and (breaths or not self._facts.events)
            # It has to be sounds that are normal, not lungs or a patient: "normal lungs" tells the control group.
            sounds = _SOUNDS & {words[place] for place in near}
            if words[max(0, at - 1) : at] in (["are"], ["were"]):
                sounds = _SOUNDS & {*sounds, *words[:4]} if words[max(0, at - 2)] not in ("lung", "lungs") else set()
            if not heard or not sounds:
                self.false.append((_UNTRUE, word))

    def _sort_the_rest(self) -> None:
        for word, clear in zip(self._words, self._clear, strict=True):
            if clear or word in NEUTRAL or word in self._known.site:
                continue
            reason = next((reason for words, reason in _REFUSED if word in words), None)
            if reason:
                self.false.append((reason, word))
            else:
                self.unknown.append(word)


@dataclass(frozen=True)
class _Known:
    """What a record holds, in the terms of the vocabulary."""

    entries: tuple[Phrase, ...]
    """Site, symptoms and history, the longest first."""
    meanings: frozenset[str]
    kinds: frozenset[str]
    site: frozenset[str]
    words: frozenset[str]


@lru_cache(maxsize=1024)
def _known(facts: Facts) -> _Known:
    entries = [tuple(words) for entry in (*facts.symptoms, *facts.history) for words in _tokens(entry)]
    site = [word for words in _tokens(facts.site or "") for word in words]
    places = {place for _, _, phrase in _phrases(site) for place in ({SITES[phrase]} if phrase in SITES else phrase)}
    places |= {"chest"} if "lobe" in places else set()
    places |= {"both"} if {"left", "right"} <= places else set()
    return _Known(
        entries=tuple(sorted([*entries, *([tuple(site)] if site else [])], key=len, reverse=True)),
        meanings=frozenset(meaning for entry in entries for meaning in _meanings(entry)),
        kinds=frozenset(kind for kind, _ in facts.events),
        site=frozenset(places),
        words=frozenset(site).union(*entries),
    )


_LIMITS = SEVERITY | TIME | NEGATION


def _meanings(entry: Phrase) -> frozenset[str]:
    """What an entry states in any wording; nothing where it means one of several or is limited, as by "dry"."""
    found: set[str] = set()
    for _, _, phrase in _phrases(entry):
        if len(SYMPTOMS.get(phrase, ())) == 1:
            found |= SYMPTOMS[phrase]
        elif phrase == ("or",) or not set(phrase) <= NEUTRAL | SEVERITY | _MARKS:
            return frozenset()
    return frozenset(found)


def _tokens(line: str) -> list[list[str]]:
    """Sentences as lower-case words, marks and numbers in digits, without possessive endings."""
    sentences: list[list[str]] = [[]]
    for token in _TOKEN.findall(line.lower()):
        if token == ".":
            sentences.append([])
        else:
            sentences[-1].append(token.removesuffix("'s"))
    return [fold(words) for words in sentences if words]


def _phrases(words: Phrase | list[str]) -> Iterator[tuple[int, int, Phrase]]:
    """Words as known phrases, the longest first, and single words between: start, end, phrase."""
    start = 0
    while start < len(words):
        lengths = range(min(_LONGEST, len(words) - start), 1, -1)
        length = next((size for size in lengths if tuple(words[start : start + size]) in _PHRASES), 1)
        yield start, start + length, tuple(words[start : start + length])
        start += length
