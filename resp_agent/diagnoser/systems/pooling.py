"""Sequences to one vector: only what is real counts, and nothing gives zeros."""

import torch
from torch import nn


def real_places(lengths: torch.Tensor, longest: int) -> torch.Tensor:
    """(B, longest) bool: the first `lengths` (B,) places of each row."""
    return torch.arange(longest, device=lengths.device)[None] < lengths[:, None]


def masked_mean(x: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """(B, S, D) and (B, S) bool to (B, D): the mean over real places, 0 where there are none."""
    weight = real[..., None].to(x.dtype)
    return (x * weight).sum(dim=1) / weight.sum(dim=1).clamp_min(1)


class AttentionPooling(nn.Module):
    """(B, S, D) and (B, S) bool to (B, D): the mean over real places by learned weights, 0 where there are none.

    A crackle lasts a few frames of hundreds: a plain mean of frozen features would bury it.
    """

    def __init__(self, width: int):
        super().__init__()
        self.score = nn.Sequential(nn.Linear(width, width // 2), nn.Tanh(), nn.Linear(width // 2, 1))

    def forward(self, x: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        scores = self.score(x)[..., 0]
        # Finite, so that a row of nothing but padding has a softmax; its weights are zeroed after.
        weights = scores.masked_fill(~real, torch.finfo(scores.dtype).min).softmax(dim=1) * real.to(x.dtype)
        return (x * weights[..., None]).sum(dim=1)
