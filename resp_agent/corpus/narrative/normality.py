"""What a narrative calls normal: only breath sounds may be, where normal breaths were marked and no events.

"Normal lungs" and "a normal patient" tell the control group. Normal breaths may be beside events.
"""

from resp_agent.corpus.narrative.facts import Facts
from resp_agent.corpus.narrative.numbers import is_breath
from resp_agent.corpus.narrative.vocabulary import words_of

NORMAL = ("normal", "clear", "vesicular")
_SOUNDS = words_of("breath breaths breathing cycle cycles sound sounds respirations")
# What may stand between "normal" and the sounds that it describes, and between "are" and "normal".
_BEFORE_SOUNDS = words_of("normal clear vesicular and , respiratory lung chest")
_BEFORE_NORMAL = words_of("normal clear vesicular and , to be being found noted heard recorded described as")
_AFTER_NORMAL = words_of("at over in on during for with and , ; ) throughout")
_PLURAL = words_of("breaths cycles sounds respirations")
_OTHER = words_of("lungs with of in and history background finding findings symptom symptoms")
_ARE = ("are", "were")


def false_normal(words: list[str], facts: Facts, clear: list[bool]) -> list[str]:
    """The words of a sentence that call normal what the record does not; all such words become clear.

    Args:
        words: folded words.
        facts: the record.
        clear: of each word, whether it is accounted for.
    """
    false = []
    for at, word in enumerate(words):
        if word not in NORMAL or clear[at]:
            continue
        clear[at] = True
        heard = facts.normal_breaths and (_described(words, at, facts) or _stated(words, at, facts))
        if not heard:
            false.append(word)
    return false


def _described(words: list[str], at: int, facts: Facts) -> bool:
    """Whether the sounds stand behind: normal breath sounds."""
    to = at + 1
    while to < len(words) and words[to] in _BEFORE_SOUNDS:
        to += 1
    to += words[to : to + 1] == ["breath"] and words[to + 1 : to + 2] in (["cycle"], ["cycles"], ["sound"], ["sounds"])
    if to == len(words) or words[to] not in _SOUNDS:
        return False
    return not facts.events or (words[at] == "normal" and is_breath(words, to))


def _stated(words: list[str], at: int, facts: Facts) -> bool:
    """Whether the sounds stand before: breath sounds at the trachea are normal."""
    if at + 1 < len(words) and words[at + 1] not in _AFTER_NORMAL | set(NORMAL):
        return False
    verb = at - 1
    while verb >= 0 and words[verb] in _BEFORE_NORMAL:
        verb -= 1
    if verb < 0 or (words[verb] not in _ARE and words[verb] not in _SOUNDS):
        return words[max(0, verb - 1) : verb + 1] == ["breathing", "is"] and not facts.events
    if words[verb] in _SOUNDS:
        return verb == at - 1 and not facts.events
    starts = [place + 1 for place in range(verb) if words[place] in (",", ";", "and", "that", "which")]
    subject = words[starts[-1] if starts else 0 : verb]
    # "Breath sounds were recorded and were clear": the subject is the sentence's.
    subject = (subject or words[:verb])[:5]
    counted = any(word.isdigit() and place + 1 < len(subject) for place, word in enumerate(subject))
    head = next((place for place, word in enumerate(subject) if word in _PLURAL), None)
    sounds = head is not None and not _OTHER & set(subject[:head]) and words[verb - 1] not in ("lung", "lungs")
    return sounds and (counted or not facts.events)
