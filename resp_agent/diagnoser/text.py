"""A word vocabulary for narratives: small enough to be learned from a few hundred of them."""

import re
from dataclasses import dataclass
from functools import cached_property

UNKNOWN = "[UNK]"
_TOKEN = re.compile(r"[a-z]+(?:-[a-z]+)*|\d+(?:\.\d+)?|[^\w\s]")


def words(narrative: str) -> list[str]:
    """Lower-case words, punctuation marks, and numbers rounded to their leading digit (`67.5` to `#60`)."""
    return [_number(token) if token[0].isdigit() else token for token in _TOKEN.findall(narrative.lower())]


def _number(token: str) -> str:
    value = int(float(token))
    unit = 10 ** (len(str(value)) - 1)
    return f"#{value // unit * unit}"


@dataclass(frozen=True)
class Vocabulary:
    """Words by id; id 0 is for words that were not in the training narratives."""

    words: tuple[str, ...]

    @classmethod
    def fit(cls, narratives: list[str], least: int = 2) -> "Vocabulary":
        """The words that occur at least `least` times, most frequent first, ties in alphabetical order."""
        counts: dict[str, int] = {}
        for narrative in narratives:
            for word in words(narrative):
                counts[word] = counts.get(word, 0) + 1
        kept = sorted(
            (word for word, count in counts.items() if count >= least), key=lambda word: (-counts[word], word)
        )
        return cls((UNKNOWN, *kept))

    def encode(self, narrative: str, longest: int) -> list[int]:
        """Ids of the first `longest` words."""
        index = self._index
        return [index.get(word, 0) for word in words(narrative)[:longest]]

    @cached_property
    def _index(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words)}
