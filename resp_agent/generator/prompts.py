"""What a language model reads before it writes units: the text of a label and a narrative in its own tokens."""

import json
from dataclasses import asdict, dataclass
from functools import cached_property

from tokenizers import Tokenizer

from resp_agent.generator.released_planner import DIAGNOSIS, END, MASK, PADDING, UNIT
from resp_agent.settings import PlannerSettings
from resp_agent.settings.checks import refuse
from resp_agent.weights import locate_text_model

SLOT = "[AUDIO_{}]"
"""Name of a style slot, counted from 0."""


@dataclass(frozen=True)
class Prompts:
    """The language model's counterpart of `Vocabulary`: all that its planner is built from, but for its weights.

    Its tokens are the tokenizer's own, then `added`, in the order of the release.
    """

    units: int
    labels: tuple[str, ...]
    style_slots: int
    narrative_tokens: int
    """Longest narrative, in tokens."""
    tokenizer: str
    """A `tokenizer.json`."""
    config: dict
    """The `config.json` of the language model."""

    @classmethod
    def fit(cls, units: int, labels: tuple[str, ...], planner: PlannerSettings) -> "Prompts":
        """Those of the pretrained model that the settings name.

        Raises:
            UserError: it is not to be found, or is no causal language model with a tokenizer of its own.
        """
        folder = locate_text_model(planner.model)
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        tokenizer = (folder / "tokenizer.json").read_text(encoding="utf-8")
        refuse(
            "quantization_config" in config,
            f"the weights of {planner.model!r} are quantized, and cannot be trained: give them in full precision",
        )
        # A batch is a function of its step, drop-out is not: a restart would end with other bits.
        config |= {name: 0.0 for name in config if name.endswith(("dropout", "pdrop"))}
        made = cls(units, labels, planner.style_slots, planner.narrative_tokens, tokenizer, config)
        known = config.get("vocab_size", 0)
        refuse(
            made.size > known,
            f"the tokenizer of {planner.model!r} has {made.size} tokens and the model {known}: give a folder in which "
            "they belong together",
        )
        return made

    @classmethod
    def from_plain(cls, plain: dict) -> "Prompts":
        """The inverse of `plain`."""
        return cls(**{**plain, "labels": tuple(plain["labels"])})

    def plain(self) -> dict:
        """The fields as plain data, for JSON."""
        return asdict(self)

    @property
    def end(self) -> int:
        """Stands for [END] among units."""
        return self.units

    @property
    def added(self) -> tuple[str, ...]:
        """Names of the tokens after the tokenizer's own: control, style slots, units."""
        slots, units = map(SLOT.format, range(self.style_slots)), map(UNIT.format, range(self.units))
        return (DIAGNOSIS, END, MASK, PADDING, *slots, *units)

    @cached_property
    def size(self) -> int:
        """The tokenizer's own tokens are those below this."""
        return max(self._text.get_vocab().values()) + 1

    def label(self, label: str | None) -> int:
        """The number of a label; one more than the last where none is told."""
        return len(self.labels) if label is None else self.labels.index(label)

    def label_tokens(self) -> list[list[int]]:
        """Tokens of each label's text, by its number; none where none is told."""
        return [*map(self._encode, self.labels), []]

    def bag(self, narrative: str) -> list[int]:
        """Tokens of a narrative in their order, the first `narrative_tokens` of them."""
        return self._encode(narrative)[: self.narrative_tokens]

    def _encode(self, text: str) -> list[int]:
        # With a space before it, a word is the token that it is within a text.
        return self._text.encode(f" {text}", add_special_tokens=False).ids if text else []

    @cached_property
    def _text(self) -> Tokenizer:
        made = Tokenizer.from_str(self.tokenizer)
        made.no_truncation()
        made.no_padding()
        # A narrative that has the name of a control token in it is still text.
        made.encode_special_tokens = True
        return made
