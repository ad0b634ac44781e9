"""Reading a sentence of a narrative against its record: what it states, whether that holds, and what is left over."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from resp_agent.corpus.narrative.constructions import PERSONAL, false_constructions
from resp_agent.corpus.narrative.facts import Facts
from resp_agent.corpus.narrative.meanings import EVENTS, PEOPLE, SITES, SYMPTOMS
from resp_agent.corpus.narrative.normality import false_normal
from resp_agent.corpus.narrative.numbers import Mention, false_numbers, fold
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
_OWNERS = words_of("his her their")
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
        self._entries: list[tuple[int, int, str]] = []
        self._clear_entries()
        phrases = list(_phrases(words))
        mentions: list[Mention] = [(start, end, EVENTS[phrase]) for start, end, phrase in phrases if phrase in EVENTS]
        self.false += false_numbers(words, facts, mentions, self._clear)
        self._read_phrases(phrases)
        self.false += [(_UNTRUE, word) for word in false_normal(words, facts, self._clear)]
        self.false += false_constructions(self._outline(phrases), words, facts)
        self._sort_the_rest()

    def _clear_entries(self) -> None:
        """Entries of the record may stand in their own words: in a row or, if nothing limits them, close together."""
        words = self._words
        for entry, letter in self._known.entries:
            for start in range(len(words)):
                if end := _end(entry, words, start):
                    self._clear[start:end] = [True] * (end - start)
                    self._entries.append((start, end, letter))
        for entry, letter in self._known.entries:
            telling = {word for word in entry if word == "or" or word not in NEUTRAL} - _MARKS
            if not telling or telling & _LIMITS or any(word.isdigit() for word in telling):
                continue
            for start in range(len(words)):
                near = [at for at in range(start, min(start + len(entry) + 3, len(words))) if not self._clear[at]]
                found = [at for at in near if words[at] in telling]
                if telling <= {words[at] for at in found}:
                    for at in found:
                        self._clear[at] = True
                    self._entries += [(at, at + 1, letter if at == found[0] else "") for at in found]

    def _outline(self, phrases: list[tuple[int, int, Phrase]]) -> list[str]:
        """The words with a letter for each phrase of the record, as `constructions` reads them."""
        outline = list(self._words)
        marked = [(start, end, self._letter(phrase)) for start, end, phrase in phrases]
        for start, end, letter in [one for one in marked if one[2]] + self._entries[::-1]:
            outline[start:end] = [letter] + [""] * (end - start - 1)
        return outline

    def _letter(self, phrase: Phrase) -> str:
        known = self._known
        meanings = SYMPTOMS.get(phrase, frozenset()) & known.meanings
        heard = phrase in EVENTS and all(group & known.kinds for group in EVENTS[phrase])
        if meanings:
            return _letter(phrase, bool(meanings & known.had), heard)
        return "E" if heard else "P" if phrase in SITES else ""

    def _read_phrases(self, phrases: list[tuple[int, int, Phrase]]) -> None:
        for start, end, phrase in phrases:
            if phrase not in _PHRASES or all(self._clear[start:end]):
                continue
            self._clear[start:end] = [True] * (end - start)
            people = [phrase] if phrase in PEOPLE else [(word,) for word in self._words[start:end] if word in _OWNERS]
            if not all(self._fits(*PEOPLE[person]) for person in people if person in PEOPLE):
                self.false.append(("it speaks of another age or sex than the record's", " ".join(phrase)))
            if phrase not in PEOPLE and not self._holds(phrase):
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

    entries: tuple[tuple[Phrase, str], ...]
    """Site, symptoms and history, the longest first, each with its letter in an outline."""
    meanings: frozenset[str]
    had: frozenset[str]
    """Of the meanings, those of the history."""
    kinds: frozenset[str]
    site: frozenset[str]
    words: frozenset[str]


@lru_cache(maxsize=1024)
def _known(facts: Facts) -> _Known:
    history = [tuple(words) for entry in facts.history for words in _tokens(entry)]
    entries = [*history, *(tuple(words) for entry in facts.symptoms for words in _tokens(entry))]
    kinds = frozenset(kind for kind, _ in facts.events)
    site = tuple(word for words in _tokens(facts.site or "") for word in words)
    places = {place for _, _, phrase in _phrases(site) for place in ({SITES[phrase]} if phrase in SITES else phrase)}
    places |= {"chest"} if "lobe" in places else set()
    places |= {"both"} if {"left", "right"} <= places else set()
    letters: dict[Phrase, str] = {}
    for entry in entries:
        heard = entry in EVENTS and all(group & kinds for group in EVENTS[entry])
        for wording in _wordings(entry):
            letters.setdefault(wording, _letter(entry, entry in history, heard))
    if site:
        letters.setdefault(site, "P")
    return _Known(
        entries=tuple(sorted(letters.items(), key=lambda item: len(item[0]), reverse=True)),
        meanings=frozenset(meaning for entry in entries for meaning in _meanings(entry)),
        had=frozenset(meaning for entry in history for meaning in _meanings(entry)),
        kinds=kinds,
        site=frozenset(places),
        words=frozenset(site).union(*entries),
    )


_LIMITS = SEVERITY | TIME | NEGATION


def _letter(phrase: Phrase, had: bool, heard: bool) -> str:
    if set(phrase) <= NEUTRAL:
        return "N"
    if phrase[-1] in PERSONAL:
        return "J"
    return "H" if had else "B" if heard else "S"


def _wordings(entry: Phrase) -> list[Phrase]:
    """An entry, and without one of its words of severity or course: "continuous cough" of "new continuous cough"."""
    if "or" in entry or NEGATION & set(entry):
        return [entry]
    shorter = [entry[:at] + entry[at + 1 :] for at, word in enumerate(entry) if word in SEVERITY and len(entry) > 2]
    return [entry, *shorter]


def _end(entry: Phrase, words: list[str], start: int) -> int | None:
    """The place behind an entry that stands at `start`, also as "new, continuous cough"; None if it does not."""
    at = start
    for word in entry:
        at += at > start and words[at - 1] in SEVERITY and words[at : at + 1] == [","] and word != ","
        if words[at : at + 1] != [word]:
            return None
        at += 1
    return at


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
    """Words as known phrases, the longest first, and single words between: start, end, phrase.

    Within a phrase "his", "her" and "their" count as "the".
    """
    read = tuple("the" if word in _OWNERS else word for word in words)
    start = 0
    while start < len(words):
        lengths = range(min(_LONGEST, len(words) - start), 1, -1)
        length = next((size for size in lengths if read[start : start + size] in _PHRASES), 1)
        yield start, start + length, read[start : start + length] if length > 1 else (words[start],)
        start += length
