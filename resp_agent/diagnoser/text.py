"""What a system reads: a narrative or raw metadata, as ids of words or of a pretrained model's tokens."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from tokenizers import Tokenizer

from resp_agent.weights import locate_text_model

UNKNOWN = "[UNK]"
_TOKEN = re.compile(r"[a-z]+(?:-[a-z]+)*|\d+(?:\.\d+)?|[^\w\s]")


class Described(Protocol):
    """What is known of a recording but for its audio: columns of `corpus.schema`."""

    id: str
    label: str
    style: str
    narrative: str
    age_years: float | None
    sex: str | None
    site: str | None
    symptoms: Sequence[str]
    history: Sequence[str]
    request: dict | None
    """What a clip was made for; None: a recording."""


def text_of(recording: Described, kind: str) -> str:
    """The `narrative` of a recording, or its `metadata`: the fields that a narrative is made from, as they stand."""
    if kind == "narrative":
        return recording.narrative
    fields = {
        "age": None if recording.age_years is None else f"{recording.age_years:g}",
        "sex": recording.sex,
        "site": recording.site,
        "symptoms": ", ".join(recording.symptoms),
        "history": ", ".join(recording.history),
    }
    return "; ".join(f"{name}: {value}" for name, value in fields.items() if value)


def words(narrative: str) -> list[str]:
    """Lower-case words, punctuation marks, and numbers rounded to their leading digit (`67.5` to `#60`)."""
    return [_number(token) if token[0].isdigit() else token for token in _TOKEN.findall(narrative.lower())]


def _number(token: str) -> str:
    value = int(float(token))
    unit = 10 ** (len(str(value)) - 1)
    return f"#{value // unit * unit}"


class Reader(Protocol):
    """Text to token ids."""

    size: int
    """Ids run from 0 to size - 1."""

    def encode(self, text: str, longest: int) -> list[int]:
        """Ids of the first `longest` tokens, without special ones."""

    @staticmethod
    def of(vocabulary: tuple[str, ...], tokenizer: str) -> "Reader":
        """The reader of a vocabulary, or of a tokenizer where there is one."""
        return Pretrained(tokenizer) if tokenizer else Vocabulary(vocabulary)


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

    @property
    def size(self) -> int:
        """Words, the unknown one included."""
        return len(self.words)

    def encode(self, text: str, longest: int) -> list[int]:
        """Ids of the first `longest` words."""
        index = self._index
        return [index.get(word, 0) for word in words(text)[:longest]]

    @cached_property
    def _index(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words)}


class Pretrained:
    """A pretrained model's own tokens."""

    def __init__(self, tokenizer: str):
        self._tokenizer = Tokenizer.from_str(tokenizer)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.size = self._tokenizer.get_vocab_size()

    def encode(self, text: str, longest: int) -> list[int]:
        """Ids of the first `longest` tokens, without special ones."""
        return self._tokenizer.encode(text, add_special_tokens=False).ids[:longest]


def read_config(text_model: str) -> str:
    """The `config.json` of a pretrained text model.

    Raises:
        UserError: the model or its config.json is not there.
    """
    return (locate_text_model(text_model) / "config.json").read_text(encoding="utf-8")


def read_tokenizer(text_model: str) -> str:
    """The tokenizer of a pretrained text model as JSON.

    Raises:
        UserError: the model or its tokenizer.json is not there.
    """
    return (locate_text_model(text_model) / "tokenizer.json").read_text(encoding="utf-8")
