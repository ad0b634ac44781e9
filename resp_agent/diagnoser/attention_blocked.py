"""Window attention in blocks: time and memory grow with the length, not with its square."""

import torch
from torch.nn.functional import pad, scaled_dot_product_attention

from resp_agent.diagnoser.attention_pattern import Pattern, as_bias

SMALLEST_BLOCK = 32
"""Queries in a block, where the window is narrower: smaller blocks spend their time on overhead."""


def blocked_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, pattern: Pattern, dropout: float = 0.0
) -> torch.Tensor:
    """(B, H, S, D) to (B, H, S, D): each block of queries on its own, the previous and the next block, and on the
    global keys. Queries of global tokens are answered as ordinary ones.
    """
    rows, heads, length, width = q.shape
    block = max(pattern.reach, SMALLEST_BLOCK)
    blocks = -(-length // block)
    queries = pad(q.transpose(1, 2), (0, 0, 0, 0, 0, blocks * block - length)).unflatten(1, (blocks, block))
    keys, values = (_neighbourhoods(x.transpose(1, 2), pattern, block, blocks) for x in (k, v))
    mask = pattern.keep(("blocked", q.dtype), lambda: as_bias(_seen(pattern, block, blocks), q.dtype))
    mixed = scaled_dot_product_attention(
        *(x.flatten(0, 1).transpose(1, 2) for x in (queries, keys, values)),
        attn_mask=mask.flatten(0, 1)[:, None],
        dropout_p=dropout,
    )
    return mixed.transpose(1, 2).reshape(rows, blocks * block, heads, width)[:, :length].transpose(1, 2)


def _neighbourhoods(x: torch.Tensor, pattern: Pattern, block: int, blocks: int) -> torch.Tensor:
    """(B, S, H, D) to (B, blocks, 3 block + G, H, D): what the queries of each block may see."""
    spare = blocks * block - x.shape[1]
    padded = pad(x, (0, 0, 0, 0, block, block + spare)).unflatten(1, (blocks + 2, block))
    parts = [padded[:, :-2], padded[:, 1:-1], padded[:, 2:]]
    if pattern.global_real.shape[1]:
        parts.append(pattern.pick(x)[:, None].expand(-1, blocks, -1, -1, -1))
    return torch.cat(parts, dim=2)


def _seen(pattern: Pattern, block: int, blocks: int) -> torch.Tensor:
    """(B, blocks, block, 3 block + G) bool, query by key."""
    device = pattern.real.device
    spare = blocks * block - pattern.real.shape[1]
    # Global keys are seen through the last G columns: in the window as well they would count twice.
    ordinary = pad(pattern.real & ~pattern.is_global, (block, block + spare)).unfold(1, 3 * block, block)
    offset = torch.arange(3 * block, device=device)[None] - block - torch.arange(block, device=device)[:, None]
    near = (offset.abs() <= pattern.reach) & ordinary[:, :, None]
    # Padding sees itself, so that no softmax is empty.
    padding = pad(~pattern.real, (0, spare), value=True).unflatten(1, (blocks, block))
    near |= padding[..., None] & (offset == 0)
    wide = pattern.global_real[:, None, None].expand(-1, blocks, block, -1)
    return torch.cat([near, wide], dim=3)
