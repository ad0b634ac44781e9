"""What text models share: the special tokens around a text, and that none has dropout."""

from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch.nn.functional import pad

from resp_agent.diagnoser.inputs import Inputs
from resp_agent.errors import UserError

WITHOUT_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
"""Ranks agree and a resumed training repeats itself: all that is drawn at random in it are its batches."""


@dataclass(frozen=True)
class SpecialTokens:
    """A pretrained model's own special tokens, or three put before the words of a vocabulary."""

    cls: int = 0
    sep: int = 2
    padding: int = 1
    """What RoBERTa has there; a pretrained model's configuration tells its own."""
    first_word: int = 3
    """Added to the ids of `Inputs`."""

    @classmethod
    def of(cls, inputs: Inputs) -> "SpecialTokens":
        """Those of the tokenizer that reads, or the default ones before a vocabulary of words.

        Raises:
            UserError: the tokenizer does not put one token before a text and one after it.
        """
        if not inputs.tokenizer:
            return cls()
        tokenizer = Tokenizer.from_str(inputs.tokenizer)
        tokenizer.no_padding()
        around = tokenizer.encode("").ids
        if len(around) != 2:
            raise UserError(
                f"the text model's tokenizer puts {len(around)} special tokens around a text, not one before and one "
                "after: give a model of the BERT, RoBERTa or Longformer kind"
            )
        return cls(*around, first_word=0)

    def around(self, text: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, L) ids of `Inputs` and (B,) lengths to (B, L + 2) ids `[CLS] text [SEP]` and (B,) their lengths."""
        ids = pad(text + self.first_word, (1, 1), value=self.padding)
        ids[:, 0] = self.cls
        return ids.scatter(1, lengths[:, None] + 1, self.sep), lengths + 2
