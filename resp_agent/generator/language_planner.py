"""A planner over a pretrained causal language model, as the paper's: text and style reference in, units out."""

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from resp_agent.generator.adapters import add_adapters, merge_adapters
from resp_agent.generator.language_model import make_language_model
from resp_agent.generator.planner import PlannerBatch, choose, steered, twice, with_untold
from resp_agent.generator.prompts import Prompts
from resp_agent.generator.released_planner import DIAGNOSIS, END, MASK, PADDING, UNIT, places
from resp_agent.settings import PlannerSettings
from resp_agent.settings.checks import refuse

NOISE = 0.1
"""Standard deviation of a new embedding around the mean of the old ones, in theirs."""


class LanguagePlanner(nn.Module):
    """P(units | label, narrative, style reference), with the interface of `Planner`.

    The prompt is [DIAGNOSIS], the label's text, the narrative's, and `style_slots` projected pooled features of the
    reference. New tokens have a table of their own, so the language model's stays as it is. Only units and [END] have
    logits; their rows are those of the new tokens where the language model ties its head to its embeddings.
    """

    def __init__(self, settings: PlannerSettings, prompts: Prompts, slot_size: int, folder: Path | None = None):
        """
        Args:
            slot_size: of a pooled feature.
            folder: of the pretrained weights, to be trained; without it all weights are random, to be loaded.

        Raises:
            UserError: transformers does not know the model, the folder lacks weights of it, or the planner cannot be
                built on it; peft is missing.
        """
        super().__init__()
        self._settings, self.end, self._size = settings, prompts.end, prompts.size
        model = make_language_model(prompts.config, folder)
        self.body, old = model.base_model, model.get_input_embeddings().weight
        added = {name: row for row, name in enumerate(prompts.added)}
        self._diagnosis, self._mask, self._padding = (prompts.size + added[name] for name in (DIAGNOSIS, MASK, PADDING))
        self.tokens = nn.Embedding.from_pretrained(_near(old, len(added)), freeze=False)
        self.style = nn.Sequential(nn.Linear(slot_size, old.shape[1]), nn.GELU(), nn.Linear(old.shape[1], old.shape[1]))
        head, self.head = model.get_output_embeddings().weight, None
        if not model.config.tie_word_embeddings:
            self.head = nn.Parameter(_near(head, prompts.units + 1))
        rows = [*(added[UNIT.format(unit)] for unit in range(prompts.units)), added[END]]
        self.register_buffer("_rows", torch.tensor(rows), persistent=False)
        labels = [torch.tensor(tokens, dtype=torch.long) for tokens in prompts.label_tokens()]
        self.register_buffer("_labels", nn.utils.rnn.pad_sequence(labels, True, -1), persistent=False)
        if folder:
            self.adapt()

    def adapt(self) -> None:
        """Makes it ready to be trained: where adapters are asked for, they are added and what they adapt is frozen."""
        if self._settings.adapter_rank:
            add_adapters(self.body, self._settings.adapter_rank, self._settings.adapter_alpha)

    def merged(self, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Trained weights as those of a planner without adapters."""
        rank = self._settings.adapter_rank
        return merge_adapters(state, rank, self._settings.adapter_alpha) if rank else state

    def prompt(self, batch: PlannerBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, P, D) embeddings, and (B, P) bool, false where a shorter prompt is padded at its start."""
        start = torch.full_like(batch.label, self._diagnosis)[:, None]
        ids = torch.cat([start, self._labels[batch.label], batch.words], 1)
        # Stable, so that what is no padding keeps its order.
        real, order = (ids >= 0).int().sort(dim=1, stable=True)
        longest = int(real.sum(1).max())
        ids, real = ids.gather(1, order)[:, -longest:], real[:, -longest:].bool()
        text = self._embed(ids.masked_fill(~real, self._padding))
        slots = self.style(batch.slots.to(text.dtype))
        return torch.cat([text, slots], 1), functional.pad(real, (0, slots.shape[1]), value=True)

    def forward(self, batch: PlannerBatch) -> torch.Tensor:
        """Cross-entropy of the next unit: mean over an example's units, then over examples.

        The first `batch.hidden` units of an example are [BEATs_MASK] to the model, and it need not tell them.
        """
        units = batch.units
        real, written = units >= 0, self._size + self._rows[units.clamp_min(0)]
        if batch.hidden is not None:
            hidden = torch.arange(units.shape[1], device=units.device) < batch.hidden[:, None]
            real, written = real & ~hidden, written.masked_fill(hidden, self._mask)
        prompt, there = self.prompt(batch)
        embeds = torch.cat([prompt, self._embed(written[:, :-1])], 1)
        self._refuse_longer(embeds.shape[1])
        # Causal attention: what stands to the right of the last real unit reaches no real position.
        there = functional.pad(there, (0, units.shape[1] - 1), value=True)
        states = self.body(inputs_embeds=embeds, **places(there), use_cache=False).last_hidden_state
        logits = self._logits(states[:, prompt.shape[1] - 1 :]).float()
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
        """(B, O + N) units: see `Planner.write`.

        Raises:
            UserError: the language model does not hold as many tokens.
        """
        # Imports transformers, which takes seconds.
        from resp_agent.generator.key_value_cache import preallocated

        guided = guidance != 1
        if guided:
            batch = with_untold(batch, len(self._labels) - 1)
        prompt, there = self.prompt(batch)
        longest = prompt.shape[1] + opening.shape[1] + draws.shape[1]
        self._refuse_longer(longest)
        cache = preallocated(self.body.config.num_hidden_layers, longest)
        given = torch.cat([prompt, self._units(twice(opening, guided))], 1)
        there = functional.pad(there, (0, opening.shape[1]), value=True)
        written = np.zeros(draws.shape, np.int64)
        for step in range(draws.shape[1]):
            state = self.body(inputs_embeds=given, **places(there, given.shape[1]), cache=cache, use_cache=True)
            logits = self._logits(state.last_hidden_state[:, -1])[:, : self.end]
            written[:, step] = choose(steered(logits, guidance), draws[:, step], temperature, top_p)
            given = self._units(twice(written[:, step : step + 1], guided))
            there = functional.pad(there, (0, 1), value=True)
        return np.concatenate([opening, written], 1)

    def _units(self, units: torch.Tensor) -> torch.Tensor:
        return self.tokens(self._rows[units.to(self._rows.device)])

    def _embed(self, ids: torch.Tensor) -> torch.Tensor:
        """(..., D) of the language model's own tokens and of the new ones."""
        own = self.body.get_input_embeddings()(ids.clamp_max(self._size - 1))
        return torch.where((ids < self._size)[..., None], own, self.tokens((ids - self._size).clamp_min(0)))

    def _logits(self, states: torch.Tensor) -> torch.Tensor:
        """(..., units + 1), [END] last."""
        return functional.linear(states, self.tokens.weight[self._rows] if self.head is None else self.head)

    def _refuse_longer(self, length: int) -> None:
        held = getattr(self.body.config, "max_position_embeddings", None) or length
        refuse(
            length > held,
            f"prompt and units are {length} tokens, more than the {held} that the language model holds: give shorter "
            "clips or --generator.planner.narrative-tokens, or another model",
        )

    def _apply(self, fn, recurse=True):
        # Rates of rotary positions lose too much in bf16, to which training casts all that is stored.
        exact = [
            (module, name, module.get_buffer(name))
            for module in self.body.modules()
            for name in module._non_persistent_buffers_set
            if module.get_buffer(name).is_floating_point()
        ]
        super()._apply(fn, recurse)
        for module, name, value in exact:
            setattr(module, name, value.to(module.get_buffer(name).device))
        return self


def _near(old: torch.Tensor, count: int) -> torch.Tensor:
    """(count, D) new rows near the mean of old ones, where a model is least surprised by them (Hewitt 2021)."""
    old = old.detach()
    return old.mean(0) + NOISE * old.std(0) * torch.randn(count, old.shape[1])
