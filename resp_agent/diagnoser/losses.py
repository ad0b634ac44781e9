"""Losses of a classifier. All are means over a batch, so that they do not depend on how a batch is sharded."""

from collections.abc import Sequence

import torch
from torch.nn.functional import cross_entropy


def class_weights(counts: Sequence[int]) -> torch.Tensor:
    """(C,) weights in inverse proportion to the (C,) training counts, 1 on average over the training split.

    A label without recordings weighs 0: it never comes.
    """
    counts = torch.tensor(counts, dtype=torch.float64)
    held = counts > 0
    weights = torch.where(held, counts.sum() / (held.sum() * counts.clamp_min(1)), 0.0)
    return weights.float()


def focal_loss(logits: torch.Tensor, labels: torch.Tensor, gamma: float) -> torch.Tensor:
    """Mean of `-(1 - p)^gamma log p` over a batch (Lin et al. 2017, equation 4); gamma 0 is cross-entropy.

    Args:
        logits: (B, C).
        labels: (B,) label index.
    """
    log_p = torch.log_softmax(logits, dim=-1).gather(1, labels[:, None])[:, 0]
    return -((1 - log_p.exp()) ** gamma * log_p).mean()


def weighted_loss(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Mean of each recording's cross-entropy times its label's weight.

    Divided by the number of recordings and not by the sum of their weights, which a shard does not know.
    """
    return (cross_entropy(logits, labels, reduction="none") * weights[labels]).mean()
