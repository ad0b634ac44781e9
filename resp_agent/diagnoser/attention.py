"""Longformer attention, exactly, for short sequences: window everywhere, global on a few tokens."""

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention


class WovenAttention(nn.Module):
    """Multi-head attention with a window and global tokens (Beltagy et al. 2020, Longformer, section 3).

    Two dense calls give the same numbers as the sliding-chunk form: first all queries on the keys in their window
    and on global keys, through the ordinary projections; then global queries on all keys, through projections of
    their own, whose outputs replace the first call's rows.
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.local = nn.Linear(width, 3 * width)
        self.globals = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(
        self, x: torch.Tensor, allowed: torch.Tensor, real: torch.Tensor, global_index: torch.Tensor
    ) -> torch.Tensor:
        """(B, S, D) to (B, S, D).

        Args:
            allowed: (B, S, S) bool, query by key: in the window or a global key, and real.
            real: (B, S) bool, False for padding.
            global_index: (G,) positions of the global tokens, the same in every row of the batch.
        """
        q, k, v = (self._split(part) for part in self.local(x).chunk(3, dim=-1))
        mixed = scaled_dot_product_attention(q, k, v, attn_mask=allowed[:, None])
        q_weight, kv_weight = self.globals.weight.split([x.shape[-1], 2 * x.shape[-1]])
        q_bias, kv_bias = self.globals.bias.split([x.shape[-1], 2 * x.shape[-1]])
        q = self._split(nn.functional.linear(x[:, global_index], q_weight, q_bias))
        k, v = (self._split(part) for part in nn.functional.linear(x, kv_weight, kv_bias).chunk(2, dim=-1))
        wide = scaled_dot_product_attention(q, k, v, attn_mask=real[:, None, None, :])
        mixed = mixed.index_copy(2, global_index, wide)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def allowed_keys(position: torch.Tensor, real: torch.Tensor, is_global: torch.Tensor, reach: int) -> torch.Tensor:
    """Which keys a query may attend to: real ones within `reach` positions on either side, and real global ones.

    Args:
        position: (B, S) place of each token in its own unpadded sequence.
        real: (B, S) bool.
        is_global: (S,) bool.
        reach: largest distance in positions.

    Returns:
        (B, S, S) bool, query by key. Padding queries keep the global keys, so that no row is empty.
    """
    near = (position[:, :, None] - position[:, None, :]).abs() <= reach
    return (near | is_global[None, None, :]) & real[:, None, :]
