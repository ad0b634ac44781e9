"""A small causal language model that writes units from a label, a narrative and a style reference."""

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from resp_agent.settings import PlannerSettings

_WORD = re.compile(r"[a-z]+")


class Vocabulary:
    """Token ids: units, then [END], then a token for each label, then one for each word of the train narratives."""

    def __init__(self, units: int, labels: tuple[str, ...], words: tuple[str, ...]):
        self.units, self.labels, self.words = units, labels, words
        self.end = units
        self._label = {label: units + 1 + index for index, label in enumerate(labels)}
        self._word = {word: units + 1 + len(labels) + index for index, word in enumerate(words)}

    @classmethod
    def fit(cls, units: int, labels: tuple[str, ...], narratives: list[str], most_words: int) -> "Vocabulary":
        """The words that most training narratives hold, at least two of them, in order of frequency then alphabet."""
        counts = Counter(word for text in narratives for word in set(_WORD.findall(text.lower())))
        ranked = sorted((word for word in counts if counts[word] > 1), key=lambda word: (-counts[word], word))
        return cls(units, labels, tuple(ranked[:most_words]))

    @classmethod
    def from_plain(cls, plain: dict) -> "Vocabulary":
        """The inverse of `plain`."""
        return cls(plain["units"], tuple(plain["labels"]), tuple(plain["words"]))

    def plain(self) -> dict:
        """What JSON can hold."""
        return {"units": self.units, "labels": self.labels, "words": self.words}

    def __len__(self) -> int:
        """All tokens."""
        return self.units + 1 + len(self.labels) + len(self.words)

    def label(self, label: str | None) -> int:
        """The token of a label; [END] where none is told."""
        return self.end if label is None else self._label[label]

    def bag(self, narrative: str) -> list[int]:
        """Tokens of the known words of a narrative, each once, sorted."""
        return sorted({self._word[word] for word in _WORD.findall(narrative.lower()) if word in self._word})


@dataclass(frozen=True)
class PlannerBatch:
    """What the planner reads, and (in training) writes."""

    slots: torch.Tensor
    """(B, slots, V) pooled style reference."""
    label: torch.Tensor
    """(B,) int64 tokens."""
    words: torch.Tensor
    """(B, W) int64 tokens of the narrative, -1 where there is none."""
    units: torch.Tensor | None = None
    """(B, T) int64, [END] after a whole recording, -1 where there is nothing."""
    hidden: torch.Tensor | None = None
    """(B,) int64, how many units at the start of each are masked."""


class Planner(nn.Module):
    """P(units | label, narrative, style reference).

    The prefix is `style_slots` projected pooled features of the reference, the label's token and the mean of the
    narrative's words. Only units and [END] have logits.
    """

    def __init__(self, settings: PlannerSettings, vocabulary: Vocabulary, slot_size: int):
        # Seconds to import, and most runs have no planner.
        from transformers import LlamaConfig, LlamaModel

        super().__init__()
        self.end = vocabulary.end
        self.prefix_length = settings.style_slots + 2
        self.body = LlamaModel(
            LlamaConfig(
                vocab_size=len(vocabulary),
                hidden_size=settings.width,
                intermediate_size=3 * settings.width,
                num_hidden_layers=settings.layers,
                num_attention_heads=settings.heads,
                num_key_value_heads=settings.heads,
                initializer_range=0.05,
                bos_token_id=None,
                eos_token_id=None,
                pad_token_id=None,
            )
        )
        self.slots = nn.Linear(slot_size, settings.width)
        self.head = nn.Linear(settings.width, vocabulary.end + 1)

    def prefix(self, batch: PlannerBatch) -> torch.Tensor:
        """(B, prefix, D) embeddings of style slots, label and narrative."""
        embed = self.body.get_input_embeddings()
        there = (batch.words >= 0).to(embed.weight.dtype)[..., None]
        words = (embed(batch.words.clamp_min(0)) * there).sum(1) / there.sum(1).clamp_min(1)
        slots = self.slots(batch.slots.to(embed.weight.dtype))
        return torch.cat([slots, embed(batch.label)[:, None], words[:, None]], 1)

    def units(self, batch: PlannerBatch, units: torch.Tensor) -> torch.Tensor:
        """(B, T, D) embeddings of (B, T) units, each with its label's, or the label is forgotten after a few units."""
        embed = self.body.get_input_embeddings()
        return embed(units) + embed(batch.label)[:, None]

    def forward(self, batch: PlannerBatch) -> torch.Tensor:
        """Cross-entropy of the next unit: mean over an example's units, then over examples."""
        units = batch.units
        real = units >= 0
        embedded = self.units(batch, units.clamp_min(0)[:, :-1])
        # Causal attention: what stands to the right of the last real unit reaches no real position.
        hidden = self.body(
            inputs_embeds=torch.cat([self.prefix(batch), embedded], 1), use_cache=False
        ).last_hidden_state
        logits = self.head(hidden[:, self.prefix_length - 1 :]).float()
        losses = functional.cross_entropy(logits.transpose(1, 2), units.clamp_min(0), reduction="none") * real
        return (losses.sum(1) / real.sum(1)).mean()

    @torch.inference_mode()
    def write(
        self,
        batch: PlannerBatch,
        opening: np.ndarray,
        draws: np.ndarray,
        temperature: float,
        top_p: float,
        guidance: float = 1.0,
    ) -> np.ndarray:
        """Goes on from (B, O) units, O from 0, by as many as there are `draws`, (B, N) uniform numbers in [0, 1).

        The prefix, the opening and every unit pass the model once (KV cache); [END] cannot come before the length is
        reached. `guidance` w samples from w logits with the label + (1 - w) without (Sanchez et al. 2023, arXiv
        2306.17806, eq. 5), both in one batch of 2B; 1 is none.

        Returns:
            (B, O + N) units: opening and continuation.
        """
        from transformers import DynamicCache

        guided = guidance != 1
        if guided:
            batch = with_untold(batch, self.end)
        where, cache = batch.label.device, DynamicCache()
        given = torch.cat([self.prefix(batch), self.units(batch, twice(opening, guided).to(where))], 1)
        written = np.zeros(draws.shape, np.int64)
        for step in range(draws.shape[1]):
            hidden = self.body(inputs_embeds=given, cache=cache, use_cache=True).last_hidden_state[:, -1]
            logits = self.head(hidden)[:, : self.end]
            written[:, step] = choose(steered(logits, guidance), draws[:, step], temperature, top_p)
            given = self.units(batch, twice(written[:, step : step + 1], guided).to(where))
        return np.concatenate([opening, written], 1)


def with_untold(batch: PlannerBatch, untold: int) -> PlannerBatch:
    """2B examples without units: the batch's, and the same ones whose label is `untold`, for guidance."""
    labels = torch.cat([batch.label, torch.full_like(batch.label, untold)])
    return PlannerBatch(batch.slots.repeat(2, 1, 1), labels, batch.words.repeat(2, 1))


def steered(logits: torch.Tensor, guidance: float) -> np.ndarray:
    """(B, K) float64 logits to sample from: those of (B, K), or with guidance w of (2B, K) of `with_untold`, w told +
    (1 - w) untold."""
    whole = logits.double().cpu().numpy()
    if guidance == 1:
        return whole
    told, untold = np.split(whole, 2)
    return guidance * told + (1 - guidance) * untold


def twice(units: np.ndarray, guided: bool) -> torch.Tensor:
    """(B, T) units as a tensor, for `with_untold` two times one after the other."""
    return torch.from_numpy(np.concatenate([units, units]) if guided else units)


def choose(logits: np.ndarray, draws: np.ndarray, temperature: float, top_p: float) -> np.ndarray:
    """(B, K) logits and (B,) uniform draws to (B,) choices: the inverse distribution function over the smallest set of
    choices, most probable first, whose probability reaches `top_p` (Holtzman et al. 2020). Temperature 0 is greedy."""
    if temperature <= 0:
        return logits.argmax(1)
    scaled = logits / temperature
    probabilities = np.exp(scaled - scaled.max(1, keepdims=True))
    probabilities /= probabilities.sum(1, keepdims=True)
    order = np.argsort(-probabilities, 1, kind="stable")
    ranked = np.take_along_axis(probabilities, order, 1)
    before = np.cumsum(ranked, 1) - ranked
    ranked = np.where(before < top_p, ranked, 0)
    reached = np.cumsum(ranked, 1)
    rank = (reached <= (draws * reached[:, -1])[:, None]).sum(1)
    return np.take_along_axis(order, np.minimum(rank, (ranked > 0).sum(1) - 1)[:, None], 1)[:, 0]
