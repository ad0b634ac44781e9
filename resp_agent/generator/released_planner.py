"""The released planner, exactly: a Qwen3 that continues a disease and eight style slots with audio units."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn
from torch.nn import functional

from resp_agent.generator.planner import choose
from resp_agent.generator.released_planner_settings import ReleasedPlannerSettings
from resp_agent.settings.checks import refuse

DIAGNOSIS, END, MASK, PADDING = "[DIAGNOSIS]", "[END]", "[BEATs_MASK]", "[PAD]"
SLOTS = tuple(f"[AUDIO_{slot}]" for slot in range(8))
"""Tokens whose embeddings the style reference replaces."""
UNIT = "[BEATs_{}]"
"""Name of a unit, counted from 0."""


class ReleasedPlanner(nn.Module):
    """P(units | disease, style reference)."""

    def __init__(self, settings: ReleasedPlannerSettings, tokenizer: str):
        """`tokenizer`: a `tokenizer.json`, to which the tokens of audio are added here unless it has them."""
        # Seconds to import, and most runs have no released planner.
        from transformers import Qwen3Model

        super().__init__()
        self.settings = settings
        self.tokenizer = with_audio_tokens(tokenizer, settings.vocab_size)
        self.model = Qwen3Model(settings.qwen3())
        if not settings.tie_word_embeddings:
            self.lm_head = nn.Linear(settings.hidden_size, settings.vocab_size, bias=False)
        self.style_proj = nn.Sequential(
            nn.Linear(settings.feature_width, settings.style_width),
            nn.GELU(),
            nn.Linear(settings.style_width, settings.hidden_size),
        )
        self.end = self.tokenizer.token_to_id(END)
        self.padding = self.tokenizer.token_to_id(PADDING)
        self.first_unit = self.tokenizer.token_to_id(UNIT.format(0))
        self.units = _count_units(self.tokenizer)
        self._slots = [self.tokenizer.token_to_id(slot) for slot in SLOTS]
        units = range(self.first_unit, self.first_unit + self.units)
        self._audio_tokens = {*map(self.tokenizer.token_to_id, (DIAGNOSIS, END, PADDING)), *self._slots, *units}

    def refresh_positions(self) -> None:
        """Computes the rates of the rotary positions anew, which are no parameters, where the model's weights are."""
        with self._head.device:
            self.model.rotary_emb = type(self.model.rotary_emb)(self.model.config)

    @property
    def _head(self) -> torch.Tensor:
        """(vocabulary, D)."""
        tied = self.settings.tie_word_embeddings
        return self.model.embed_tokens.weight if tied else self.lm_head.weight

    def prompt_ids(self, disease: str) -> list[int]:
        """Tokens of `[DIAGNOSIS] <disease> [AUDIO_0] ... [AUDIO_7]` with what the tokenizer puts around every text.

        Raises:
            UserError: the disease has the name of a control token, a style slot or a unit in it.
        """
        named = self._audio_tokens.intersection(self.tokenizer.encode(disease, add_special_tokens=False).ids)
        refuse(bool(named), f"the disease {disease!r} names a token of the planner: give plain words")
        return self.tokenizer.encode(" ".join((DIAGNOSIS, disease, *SLOTS))).ids

    def prompt_embeds(self, style_features: torch.Tensor, diseases: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """What the model reads first, (B, P, D), and (B, P) bool, false where a shorter row is padded at its start.

        Args:
            style_features: (B, S, D) tokens of the style references, not padded.
            diseases: B texts.
        """
        rows = [self.prompt_ids(disease) for disease in diseases]
        longest = max(map(len, rows))
        filled = [[self.padding] * (longest - len(row)) + row for row in rows]
        ids = torch.tensor(filled, device=self._head.device)
        pooled = functional.adaptive_avg_pool1d(style_features.to(ids.device).transpose(1, 2), len(SLOTS))
        style = self.style_proj(pooled.transpose(1, 2))
        embeds = self.model.embed_tokens(ids)
        is_slot = torch.isin(ids, torch.tensor(self._slots, device=ids.device))
        embeds = embeds.masked_scatter(is_slot[..., None], style.to(embeds.dtype))
        lengths = torch.tensor([[len(row)] for row in rows], device=ids.device)
        return embeds, torch.arange(longest, device=ids.device) >= longest - lengths

    def prompt_logits(self, style_features: torch.Tensor, diseases: Sequence[str]) -> torch.Tensor:
        """(B, P, vocabulary) of the token after each; of no meaning where a row is padded."""
        embeds, real = self.prompt_embeds(style_features, diseases)
        states = self.model(inputs_embeds=embeds, **places(real), use_cache=False).last_hidden_state
        return functional.linear(states, self._head)

    @torch.inference_mode()
    def generated_ids(self, style_features: torch.Tensor, diseases: Sequence[str], most: int = 120) -> torch.Tensor:
        """(B, N) tokens, N at most `most`, each the likeliest of the whole vocabulary; [PAD] after a row's [END].

        This is how the release decodes: text and control tokens may come, too. See `write_units` for units alone.
        """
        embeds, real = self.prompt_embeds(style_features, diseases)
        return self._continued(embeds, real, most, lambda state, _: functional.linear(state, self._head).argmax(-1))

    @torch.inference_mode()
    def write_units(
        self,
        style_features: torch.Tensor,
        diseases: Sequence[str],
        draws: np.ndarray,
        temperature: float = 1.0,
        top_p: float = 1.0,
        least: int = 0,
    ) -> list[np.ndarray]:
        """Units of B clips, (N,) int64 each; only units and [END] can be produced, and only they get logits.

        Args:
            style_features: (B, S, D) tokens of the style references.
            diseases: B texts.
            draws: (B, most) uniform numbers in [0, 1), one row a clip: a clip is the same in any batch.
            temperature: of sampling; 0 is greedy.
            top_p: smallest set of units whose probabilities reach this.
            least: units before which [END] cannot come; as many as there are draws give that very length.
        """
        tokens = torch.tensor([*range(self.first_unit, self.first_unit + self.units), self.end])
        head = self._head[tokens.to(self._head.device)]

        def pick(state: torch.Tensor, step: int) -> torch.Tensor:
            logits = functional.linear(state, head).double().cpu().numpy()
            if step < least:
                logits[:, -1] = -np.inf
            return tokens[choose(logits, draws[:, step], temperature, top_p)].to(state.device)

        embeds, real = self.prompt_embeds(style_features, diseases)
        rows = self._continued(embeds, real, draws.shape[1], pick).cpu().numpy() - self.first_unit
        # All that is no unit is [END], or the padding after it.
        return [row[: np.append(np.flatnonzero((row < 0) | (row >= self.units)), len(row))[0]] for row in rows]

    def _continued(
        self,
        embeds: torch.Tensor,
        real: torch.Tensor,
        most: int,
        pick: Callable[[torch.Tensor, int], torch.Tensor],
    ) -> torch.Tensor:
        """(B, N) tokens that `pick` makes of the last state (B, D) and the step; every token passes the model once."""
        # Imports transformers, which takes seconds.
        from resp_agent.generator.key_value_cache import preallocated

        longest, held = embeds.shape[1] + most, self.settings.max_position_embeddings
        refuse(longest > held, f"{longest} tokens are more than the {held} that the planner holds: write fewer units")
        cache, written = preallocated(self.settings.num_hidden_layers, longest), []
        ended = torch.zeros(len(embeds), dtype=torch.bool, device=embeds.device)
        for step in range(most):
            state = self.model(inputs_embeds=embeds, **places(real, embeds.shape[1]), cache=cache, use_cache=True)
            chosen = pick(state.last_hidden_state[:, -1], step).masked_fill(ended, self.padding)
            written.append(chosen)
            ended = ended | (chosen == self.end)
            if ended.all():
                break
            embeds = self.model.embed_tokens(chosen)[:, None]
            real = torch.cat([real, torch.ones_like(real[:, :1])], 1)
        return torch.stack(written, 1) if written else real.new_zeros((len(real), 0), dtype=torch.long)


def places(real: torch.Tensor, last: int | None = None) -> dict[str, torch.Tensor | None]:
    """Mask over all tokens so far, and positions of the last ones of them, counted without padding."""
    places = (real.cumsum(1) - 1).clamp_min(0)
    return {
        "attention_mask": None if bool(real.all()) else real.long(),
        "position_ids": places[:, -(last or real.shape[1]) :],
    }


def with_audio_tokens(tokenizer: str, vocabulary: int) -> Tokenizer:
    """The tokenizer of a `tokenizer.json` with the tokens of audio after its own: control, style slots, units.

    Where it lacks them there are as many units as the vocabulary has room for.

    Raises:
        UserError: it has only some of them, not in their order, or more than the vocabulary.
    """
    made = Tokenizer.from_str(tokenizer)
    made.no_truncation()
    made.no_padding()
    if made.token_to_id(UNIT.format(0)) is None:
        control = [DIAGNOSIS, END, MASK, PADDING, *SLOTS]
        fresh = len([name for name in control if made.token_to_id(name) is None])
        units = vocabulary - made.get_vocab_size() - fresh
        refuse(units < 1, f"a vocabulary of {vocabulary} has no room for units after the tokenizer's: give its own")
        made.add_special_tokens([*control, *(UNIT.format(unit) for unit in range(units))])
    for name in (DIAGNOSIS, END, PADDING, *SLOTS):
        refuse(made.token_to_id(name) is None, f"the tokenizer has no {name}: give that of the released planner")
    last = made.token_to_id(UNIT.format(_count_units(made) - 1))
    refuse(
        last != made.token_to_id(UNIT.format(0)) + _count_units(made) - 1,
        "the tokenizer's units are not one after the other: give that of the released planner",
    )
    size = max(made.get_vocab().values()) + 1
    refuse(size > vocabulary, f"the tokenizer has {size} tokens and the planner {vocabulary}: give its own")
    return made


def _count_units(tokenizer: Tokenizer) -> int:
    count = 0
    while tokenizer.token_to_id(UNIT.format(count)) is not None:
        count += 1
    return count
