"""Longformer (Beltagy et al. 2020) on exact attention; parameters are named as in transformers' checkpoints."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from resp_agent.diagnoser.attention import merge_heads, split_heads, woven_attention
from resp_agent.diagnoser.attention_pattern import Pattern
from resp_agent.settings.checks import refuse


@dataclass(frozen=True)
class LongformerSettings:
    """Sizes of a Longformer, under the names of transformers' `config.json`."""

    vocab_size: int = 50265
    """Tokens."""
    hidden_size: int = 768
    """Width of a token."""
    num_hidden_layers: int = 12
    """Layers."""
    num_attention_heads: int = 12
    """Heads of a layer."""
    intermediate_size: int = 3072
    """Width within a feed-forward block."""
    attention_window: int | tuple[int, ...] = 512
    """Tokens that a token sees, both sides together; one number for each layer, or one for all."""
    max_position_embeddings: int = 4098
    """Rows of the position table; the first `pad_token_id + 1` are no positions."""
    type_vocab_size: int = 1
    """Token types."""
    pad_token_id: int = 1
    """The token that pads rows."""
    layer_norm_eps: float = 1e-5
    """Of every layer normalisation."""
    hidden_dropout_prob: float = 0.1
    """Dropout of states, in training."""
    attention_probs_dropout_prob: float = 0.1
    """Dropout of attention probabilities, in training."""

    def __post_init__(self):
        refuse(
            self.hidden_size % self.num_attention_heads != 0,
            f"a width of {self.hidden_size} does not divide into {self.num_attention_heads} heads",
        )
        windows = self.attention_window
        if not isinstance(windows, int):
            refuse(
                len(windows) != self.num_hidden_layers,
                f"{len(windows)} attention windows are given for {self.num_hidden_layers} layers: give one for each",
            )
        for window in {windows} if isinstance(windows, int) else set(windows):
            refuse(window < 2 or window % 2 != 0, f"an attention window of {window} is not even and above 0")

    @classmethod
    def of(cls, config: Any) -> "LongformerSettings":
        """From transformers' LongformerConfig, or from a mapping with its names, as its `config.json` holds."""
        known = config if isinstance(config, Mapping) else config.to_dict()
        act = known.get("hidden_act", "gelu")
        refuse(act != "gelu", f"the activation {act!r} is not built here: only the exact 'gelu' is")
        names = {each.name for each in fields(cls)}
        given = {name: value for name, value in known.items() if name in names and value is not None}
        if isinstance(given.get("attention_window"), list):
            given["attention_window"] = tuple(given["attention_window"])
        return cls(**given)

    @property
    def reaches(self) -> tuple[int, ...]:
        """How far each layer's window extends to either side."""
        windows = self.attention_window
        each = (windows,) * self.num_hidden_layers if isinstance(windows, int) else windows
        return tuple(window // 2 for window in each)


class Longformer(nn.Module):
    """The encoder: post-norm layers of window and global attention."""

    def __init__(self, settings: LongformerSettings):
        super().__init__()
        self.settings = settings
        self.checkpointing = False
        """True: states within layers are computed again in the backward pass instead of kept, in training."""
        self.embeddings = _Embeddings(settings)
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(_Layer(settings) for _ in settings.reaches)})
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        global_attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """(B, S, D) last states; those of padding are finite and mean nothing.

        Args:
            input_ids: (B, S); or else `inputs_embeds`.
            attention_mask: (B, S), 0 or False for padding; None: there is none.
            global_attention_mask: (B, S), 1 or True for global tokens; None: there are none.
            token_type_ids: (B, S); None: all 0.
            position_ids: (B, S) rows of the position table. None: the first place is `pad_token_id + 1`, and padding
                among `input_ids` is not counted.
            inputs_embeds: (B, S, D) word embeddings, or what stands in their place.
        """
        x = self.embeddings(input_ids, token_type_ids, position_ids, inputs_embeds)
        everywhere = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        real = everywhere if attention_mask is None else attention_mask.bool()
        is_global = ~everywhere if global_attention_mask is None else global_attention_mask.bool()
        patterns = {reach: Pattern(real, is_global, reach) for reach in set(self.settings.reaches)}
        for layer, reach in zip(self.encoder["layer"], self.settings.reaches, strict=True):
            if self.checkpointing and self.training:
                x = checkpoint(layer, x, patterns[reach], use_reentrant=False)
            else:
                x = layer(x, patterns[reach])
        return x


class _Embeddings(nn.Module):
    def __init__(self, settings: LongformerSettings):
        super().__init__()
        width = settings.hidden_size
        self.padding = settings.pad_token_id
        self.word_embeddings = nn.Embedding(settings.vocab_size, width)
        self.position_embeddings = nn.Embedding(settings.max_position_embeddings, width)
        self.token_type_embeddings = nn.Embedding(settings.type_vocab_size, width)
        self.LayerNorm = nn.LayerNorm(width, eps=settings.layer_norm_eps)
        self.dropout = nn.Dropout(settings.hidden_dropout_prob)

    def forward(self, input_ids, token_type_ids, position_ids, inputs_embeds) -> torch.Tensor:
        words = self.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        longest = self.position_embeddings.num_embeddings - self.padding - 1
        refuse(words.shape[1] > longest, f"{words.shape[1]} tokens are more than the {longest} positions of the model")
        if position_ids is None and input_ids is not None:
            counted = (input_ids != self.padding).long()
            position_ids = counted.cumsum(dim=1) * counted + self.padding
        elif position_ids is None:
            position_ids = torch.arange(words.shape[1], device=words.device)[None] + self.padding + 1
        table = self.token_type_embeddings
        types = table.weight[0] if token_type_ids is None else table(token_type_ids)
        return self.dropout(self.LayerNorm(words + self.position_embeddings(position_ids) + types))


class _Layer(nn.Module):
    def __init__(self, settings: LongformerSettings):
        super().__init__()
        width, inner = settings.hidden_size, settings.intermediate_size
        self.attention = nn.ModuleDict({"self": _SelfAttention(settings), "output": _AddNorm(width, settings)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, inner)})
        self.output = _AddNorm(inner, settings)

    def forward(self, x: torch.Tensor, pattern: Pattern) -> torch.Tensor:
        x = self.attention["output"](self.attention["self"](x, pattern), x)
        return self.output(nn.functional.gelu(self.intermediate["dense"](x)), x)


class _SelfAttention(nn.Module):
    def __init__(self, settings: LongformerSettings):
        super().__init__()
        self.heads = settings.num_attention_heads
        self.dropout = settings.attention_probs_dropout_prob
        for name in ("query", "key", "value", "query_global", "key_global", "value_global"):
            setattr(self, name, nn.Linear(settings.hidden_size, settings.hidden_size))

    def forward(self, x: torch.Tensor, pattern: Pattern) -> torch.Tensor:
        inputs = {self.query: x, self.key: x, self.value: x}
        if pattern.global_index.shape[1]:
            inputs |= {self.query_global: pattern.pick(x), self.key_global: x, self.value_global: x}
        heads = [split_heads(project(part), self.heads) for project, part in inputs.items()]
        dropout = self.dropout if self.training else 0.0
        return merge_heads(woven_attention(*heads[:3], *(heads[3:] or [None] * 3), pattern, dropout=dropout))


class _AddNorm(nn.Module):
    """A projection, added to the residual, then normalised."""

    def __init__(self, width: int, settings: LongformerSettings):
        super().__init__()
        self.dense = nn.Linear(width, settings.hidden_size)
        self.LayerNorm = nn.LayerNorm(settings.hidden_size, eps=settings.layer_norm_eps)
        self.dropout = nn.Dropout(settings.hidden_dropout_prob)

    def forward(self, x: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        return self.LayerNorm(self.dropout(self.dense(x)) + residual)
