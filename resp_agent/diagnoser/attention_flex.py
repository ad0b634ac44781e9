"""Window and global keys as one FlexAttention call: for long sequences on CUDA."""

from functools import cache

import torch
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from resp_agent.diagnoser.attention_pattern import Pattern


def flex_window_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, pattern: Pattern) -> torch.Tensor:
    """(B, H, S, D) to (B, H, S, D); queries of global tokens are answered as ordinary ones.

    Compiled on CUDA. On CPU it is computed as written, forward only: a check of the mask, not a path to use.
    """
    mask = pattern.keep("flex", lambda: _block_mask(pattern))
    attend = _compiled() if q.is_cuda else flex_attention
    return attend(q, k, v, block_mask=mask)


def _block_mask(pattern: Pattern) -> BlockMask:
    real, global_keys, reach = pattern.real, pattern.global_keys, pattern.reach

    def sees(row, head, query, key):
        near = (query - key).abs() <= reach
        # Padding sees itself, so that no softmax is empty.
        return (near & real[row, key]) | global_keys[row, key] | (query == key)

    rows, length = real.shape
    # Compiled, it never holds the whole mask of query by key.
    return create_block_mask(sees, rows, None, length, length, device=real.device, _compile=real.is_cuda)


@cache
def _compiled():
    return torch.compile(flex_attention)
