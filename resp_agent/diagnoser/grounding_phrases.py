"""What a phrase means: the sounds that it names, as kinds of events."""

from dataclasses import dataclass

from resp_agent.diagnoser.text import UNKNOWN, words
from resp_agent.errors import UserError


@dataclass(frozen=True)
class Sound:
    """A sound that can be asked for."""

    name: str
    """What tables call it; the first of its wordings."""
    kinds: tuple[str, ...]
    """Kinds of events that are it."""
    doubtful: tuple[str, ...]
    """Kinds that may be it: what is marked so is neither taught nor counted."""
    wordings: tuple[str, ...]
    """Words that name it, in lower case."""


_MIXED = "wheeze + crackle"

_TABLE = (
    (("fine crackle", "coarse crackle", _MIXED), (), "crackles, crackle, crackling, rales, crepitations"),
    # Nobody says whether the crackles under a wheeze are fine or coarse.
    (("fine crackle",), (_MIXED,), "fine crackles, fine crackle, fine rales, velcro crackles"),
    (("coarse crackle",), (_MIXED,), "coarse crackles, coarse crackle, coarse rales"),
    (("wheeze", _MIXED), (), "wheezes, wheeze, wheezing"),
    ((_MIXED,), (), "wheezes with crackles, wheeze with crackles, wheezing with crackles, wheeze + crackle"),
    (("rhonchus",), (), "rhonchi, rhonchus, low-pitched wheezes, low-pitched wheezing"),
    (("stridor",), (), "stridor"),
    (("cough",), (), "coughs, cough, coughing"),
    (("rub",), (), "rubs, rub, pleural rub, friction rub, pleural friction rub"),
)

SOUNDS = tuple(
    Sound(wordings.split(", ")[0], kinds, doubtful, tuple(wordings.split(", "))) for kinds, doubtful, wordings in _TABLE
)
"""Every sound; no wording belongs to two."""

GROUPS = {
    "continuous sounds": ("wheezes", "rhonchi", "stridor"),
    "musical sounds": ("wheezes", "rhonchi", "stridor"),
    "adventitious sounds": ("crackles", "wheezes", "rhonchi", "stridor", "rubs"),
    "abnormal sounds": ("crackles", "wheezes", "rhonchi", "stridor", "rubs"),
}
"""Wordings that stand for several sounds, by their names."""

WORDS = (UNKNOWN, *sorted({word for sound in SOUNDS for wording in sound.wordings for word in words(wording)}))
"""The vocabulary in which sounds are read."""

_SAID_BESIDE = """
    a all an and are at audible auscultation base bases basal bibasal bibasilar bilateral bilaterally both bronchial
    chest diffuse during early end expiration expiratory faint field fields front has have heard high-pitched in
    inspiration inspiratory is late left lobe lobes loud low lower lung lungs mid middle mild monophonic multiple of on
    or over patient polyphonic posterior prolonged right scattered side sides soft some the there throughout to upper
    was were widespread with zone zones , . ; :
"""
BYWORDS = frozenset(_SAID_BESIDE.split())
"""Words of place, time and loudness that may stand beside a sound. They change nothing, for no corpus says which of
its events they hold for."""


@dataclass(frozen=True)
class Named:
    """A sound as a phrase names it."""

    sound: Sound
    wording: str
    group: str = ""
    """The group that was named, if it was not the sound itself."""


_MEANINGS = {tuple(words(wording)): [Named(sound, wording)] for sound in SOUNDS for wording in sound.wordings} | {
    tuple(words(group)): [Named(sound, sound.name, group) for sound in SOUNDS if sound.name in names]
    for group, names in GROUPS.items()
}
_LONGEST = max(map(len, _MEANINGS))


def read_phrase(phrase: str) -> tuple[Named, ...]:
    """The sounds that a phrase names, in its order; at each place the longest wording counts.

    Raises:
        UserError: it names none, or has words that are not known here, a negation for instance.
    """
    found, strange, tokens = [], [], words(phrase)
    while tokens:
        for length in range(min(_LONGEST, len(tokens)), 0, -1):
            if tuple(tokens[:length]) in _MEANINGS:
                found += _MEANINGS[tuple(tokens[:length])]
                break
        else:
            length = 1
            if not _is_byword(tokens[0]):
                strange.append(tokens[0])
        tokens = tokens[length:]
    if strange or not found:
        what = f"has words that are not known: {', '.join(strange)}" if strange else "names no sound"
        raise UserError(f"the phrase {phrase!r} {what}; say {listing()}, with words of place and time at most")
    return tuple(dict.fromkeys(found))


def _is_byword(word: str) -> bool:
    # As in `late-inspiratory`.
    return word in BYWORDS or all(part in BYWORDS for part in word.split("-"))


def listing() -> str:
    """The names of all sounds, for a sentence."""
    *names, last = (*(sound.name for sound in SOUNDS), *GROUPS)
    return f"{', '.join(names)} or {last}"
