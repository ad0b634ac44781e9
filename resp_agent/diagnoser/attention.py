"""Longformer attention, exactly: a window for every token, and global tokens that see all and are seen by all."""

from typing import Literal

import torch
from torch import nn
from torch.nn.functional import linear, scaled_dot_product_attention

from resp_agent.diagnoser.attention_blocked import blocked_attention
from resp_agent.diagnoser.attention_flex import flex_window_attention
from resp_agent.diagnoser.attention_pattern import Pattern

AttentionPath = Literal["dense", "blocked", "flex"]

DENSE_UP_TO = 1024
"""Longest sequence, in tokens, that is attended to densely.

Measured by `resp-agent benchmark attention` at the sizes of Longformer-base (12 heads of 64, reach 256, 126 global
tokens) on one CPU thread, forward + backward: at 1,024 tokens dense and blocked take the same time, at 768 dense is 1.2
to 1.4 times as fast, at 1,536 blocked is 1.5 times as fast.
"""


def woven_attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    global_q: torch.Tensor | None,
    global_k: torch.Tensor | None,
    global_v: torch.Tensor | None,
    pattern: Pattern,
    path: AttentionPath | Literal["auto"] = "auto",
    dropout: float = 0.0,
) -> torch.Tensor:
    """(B, H, S, D) to (B, H, S, D), for H heads of width D, as in Longformer (Beltagy et al. 2020, section 3).

    First all queries on the keys in their window and on global keys; then global queries on all keys, through
    projections of their own, and these answers replace the first ones.

    Args:
        q, k, v: (B, H, S, D) through the ordinary projections.
        global_q: (B, H, G, D) queries of the tokens at `pattern.global_index`, through a projection of their own.
        global_k, global_v: (B, H, S, D) what global queries see, through projections of their own. With no global
            token in the batch (G = 0) the three may be None.
        path: how the window is computed; `auto` goes by length and device, see `choose_path`.
        dropout: share of attention probabilities set to zero. FlexAttention has none.
    """
    path = choose_path(q.shape[2], q.device, dropout) if path == "auto" else path
    if path == "dense":
        mixed = scaled_dot_product_attention(q, k, v, attn_mask=pattern.dense_mask(q.dtype), dropout_p=dropout)
    elif path == "blocked":
        mixed = blocked_attention(q, k, v, pattern, dropout)
    elif dropout:
        raise ValueError("the flex path has no dropout of attention probabilities: take dense or blocked")
    else:
        mixed = flex_window_attention(q, k, v, pattern)
    if not pattern.global_index.shape[1]:
        return mixed
    mask = pattern.global_mask(q.dtype)
    wide = scaled_dot_product_attention(global_q, global_k, global_v, attn_mask=mask, dropout_p=dropout)
    return pattern.put(mixed.transpose(1, 2), wide.transpose(1, 2)).transpose(1, 2)


def choose_path(length: int, device: torch.device, dropout: float = 0.0) -> AttentionPath:
    """Dense up to `DENSE_UP_TO` tokens; beyond, flex on CUDA, and blocked elsewhere or where there is dropout."""
    if length <= DENSE_UP_TO:
        return "dense"
    return "flex" if device.type == "cuda" and not dropout else "blocked"


class WovenAttention(nn.Module):
    """Multi-head attention of the weaving diagnoser: the projections around `woven_attention`."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.local = nn.Linear(width, 3 * width)
        self.globals = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, pattern: Pattern) -> torch.Tensor:
        """(B, S, D) to (B, S, D)."""
        width = x.shape[-1]
        q, k, v = (split_heads(part, self.heads) for part in self.local(x).chunk(3, dim=-1))
        q_weight, kv_weight = self.globals.weight.split([width, 2 * width])
        q_bias, kv_bias = self.globals.bias.split([width, 2 * width])
        global_q = split_heads(linear(pattern.pick(x), q_weight, q_bias), self.heads)
        global_kv = linear(x, kv_weight, kv_bias).chunk(2, dim=-1)
        global_k, global_v = (split_heads(part, self.heads) for part in global_kv)
        return self.out(merge_heads(woven_attention(q, k, v, global_q, global_k, global_v, pattern)))


def split_heads(x: torch.Tensor, heads: int) -> torch.Tensor:
    """(B, S, H * D) to (B, H, S, D)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(x: torch.Tensor) -> torch.Tensor:
    """(B, H, S, D) to (B, S, H * D)."""
    return x.transpose(1, 2).flatten(2)
