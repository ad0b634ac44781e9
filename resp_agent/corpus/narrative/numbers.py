"""The numbers of a narrative, each of which must be the record's and stand for its own thing."""

from resp_agent.corpus.narrative.facts import Facts
from resp_agent.corpus.narrative.template import spoken_age
from resp_agent.corpus.narrative.vocabulary import AT_LEAST, DECADES, TENS, UNITS, words_of

Mention = tuple[int, int, tuple[frozenset[str], ...]]
"""Where an event is named, from its first word to behind its last, and its kinds in groups, as `meanings.EVENTS`."""
Reading = tuple[int, int, bool]
"""What belongs to a number, from its first word to behind its last, and whether it holds."""

_SECONDS = ("second", "seconds", "sec", "secs", "s")
# A sentence must hold one of these to speak of the recording's seconds.
_RECORDED = words_of("""
    recording recordings recorded record audio clip clips sample segment segments session auscultation auscultated
    heard listening listened captured examination duration length lasting lasts sounds
""")
# What may stand between a count and what it counts.
_BETWEEN = words_of("""
    of separate distinct individual episode episodes event events instance instances occurrence occurrences audible
    normal total respiratory breath breathing heard recorded noted
""")
_BREATHS = ("breath", "breaths", "cycle", "cycles", "respirations")
_SINGLE = words_of("recording site location clip sample area point position region segment session visit")


def fold(words: list[str]) -> list[str]:
    """Words with their numbers in digits: `sixty`, `three` to `63`; `twice` to `2`, `times`; `sixties` to `60`, `s`."""
    folded: list[str] = []
    tens = False
    for word in words:
        if tens and 0 < UNITS.get(word, 0) < 10:
            folded[-1] = str(int(folded[-1]) + UNITS[word])
        elif word in UNITS or word in TENS:
            folded.append(str(UNITS.get(word, TENS.get(word))))
        elif word in DECADES:
            folded += [str(DECADES[word]), "s"]
        elif word in ("once", "twice"):
            folded += ["1" if word == "once" else "2", "times"]
        else:
            folded.append(word)
        tens = word in TENS
    return folded


def is_breath(words: list[str], at: int) -> bool:
    """Whether a word names breaths that can be counted, unlike breath sounds."""
    return words[at] in _BREATHS and words[at + 1 : at + 2] not in (["sound"], ["sounds"], ["cycle"], ["cycles"])


def false_numbers(words: list[str], facts: Facts, mentions: list[Mention], clear: list[bool]) -> list[tuple[str, str]]:
    """Reads a sentence's numbers and those that do not hold, each as a reason and its words.

    Args:
        words: folded words.
        facts: the record.
        mentions: where the sentence names events.
        clear: of each word, whether it is accounted for; words that belong to a number become so here.
    """
    false = []
    for at, word in enumerate(words):
        if clear[at] or not (word[0].isdigit() or word in AT_LEAST):
            continue
        start, end, holds = _read(words, at, facts, mentions)
        clear[start:end] = [True] * (end - start)
        if not holds:
            false.append(("it states a number that is not the record's, or not of this", " ".join(words[start:end])))
    return false


def _read(words: list[str], at: int, facts: Facts, mentions: list[Mention]) -> Reading:
    if words[at] in AT_LEAST:
        return at, at + 1, max(_counts(words, at, facts, mentions), default=0) >= AT_LEAST[words[at]]
    value = float(words[at])
    other = _age(words, at, value, facts.age_years) or _seconds(words, at, value, facts.duration_s)
    if other:
        return other
    following = words[at + 1 : at + 2]
    if following in (["times"], ["occasions"]):
        return at, at + 2, value in _times(words, at, facts, mentions)
    if value == 1 and following and following[0] in _SINGLE:
        return at, at + 1, True
    return at, at + 1, value in _counts(words, at, facts, mentions)


def _age(words: list[str], at: int, value: float, age_years: float | None) -> Reading | None:
    """An age at a number; None if the number is no age."""
    if words[at + 1 : at + 2] == ["s"] and words[max(0, at - 1) : at] in (["his"], ["her"], ["their"]):
        return at, at + 2, age_years is not None and value in TENS.values() and value <= age_years < value + 10
    start, end, told = at, at + 1, False
    unit = words[end].removesuffix("s") if words[end : end + 1] else ""
    unit = unit if unit in ("year", "month") else ""
    end += bool(unit)
    for opening in (["aged"], ["age", "of"], ["age", ":"], ["age", "is"], ["age"]):
        if words[max(0, at - len(opening)) : at] == opening:
            start, told = at - len(opening), True
            break
    for closing in (["old"], ["of", "age"]):
        if unit and words[end : end + len(closing)] == closing:
            end, told = end + len(closing), True
    return (start, end, age_years is not None and _is_age(value, unit or "year", age_years)) if told else None


def _is_age(value: float, unit: str, age_years: float) -> bool:
    if (value, unit) == spoken_age(age_years):
        return True
    # In years that are not whole, or below 2, an age is said as it is: 0.75, 1, 1.5 or 4.7 years.
    near = 0.005 if value.is_integer() or value < 2 else 0.05
    return unit == "year" and abs(value - age_years) <= near + 1e-9


def _seconds(words: list[str], at: int, value: float, duration_s: float | None) -> Reading | None:
    """The recording's length at a number, to the second or a tenth of it; None if the number is of no seconds."""
    if not words[at + 1 : at + 2] or words[at + 1] not in _SECONDS:
        return None
    end = at + 3 if words[at + 2 : at + 3] == ["long"] else at + 2
    near = 0.5 if value.is_integer() else 0.05
    holds = value > 0 and duration_s is not None and abs(value - duration_s) <= near + 1e-9
    return at, end, holds and bool(_RECORDED & set(words))


def _counts(words: list[str], at: int, facts: Facts, mentions: list[Mention]) -> set[int]:
    """What a number may be that counts the events or normal breaths named behind it, or the events just before it."""
    named = {start: groups for start, _, groups in mentions}
    for to in range(at + 1, min(at + 6, len(words))):
        if to in named:
            return _heard(facts, named[to])
        if is_breath(words, to):
            return {facts.normal_breaths or 0} - {0} if "normal" in words else set()
        if words[to] not in _BETWEEN:
            break
    before = at - 1 if words[max(0, at - 1) : at] in (["("], [":"], [","]) else at
    return {count for _, end, groups in mentions if end == before for count in _heard(facts, groups)}


def _times(words: list[str], at: int, facts: Facts, mentions: list[Mention]) -> set[int]:
    """How often that is heard which is named last before a number of times; or what follows it as a sentence begins."""
    before = [(end, groups) for _, end, groups in mentions if end <= at]
    if before:
        end, groups = before[-1]
        return set() if {"and", ",", ";", "with"} & set(words[end:at]) else _heard(facts, groups)
    return {count for _, _, groups in mentions[:1] for count in _heard(facts, groups)} if at <= 1 else set()


def _heard(facts: Facts, groups: tuple[frozenset[str], ...]) -> set[int]:
    """How often an event is heard: as one of the kinds that its name fits, or all of them."""
    counts = [count for kind, count in facts.events if any(kind in group for group in groups)]
    return {sum(counts), *(counts if len(groups) == 1 else ())} - {0}
