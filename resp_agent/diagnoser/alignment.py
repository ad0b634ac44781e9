"""Alignment of real and synthetic: features from which an adversary cannot tell clips from recordings.

Adversarial fine-tuning on generated respiratory sound (Kim et al. 2023), by reversing the gradient of a head that tells
the two apart (Ganin et al. 2016, arXiv 1505.07818).
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

LEARNS = {"rate": 10.0, "betas": (0.5, 0.99), "weight_decay": 0.0}
"""How an adversary learns: much faster than what it reads, with short memories. At the same rate it lags behind, and
features run past where it looks, further apart than before, instead of becoming alike (two time scales: Heusel et al.
2017, arXiv 1706.08500). Without weight decay: while there are no clips, nothing moves it."""


class _Reversal(torch.autograd.Function):
    """The identity, whose gradient comes back times minus a weight."""

    @staticmethod
    def forward(x: torch.Tensor, weight: float) -> torch.Tensor:
        return x.view_as(x)

    @staticmethod
    def setup_context(ctx, inputs: tuple, output: torch.Tensor) -> None:
        ctx.weight = inputs[1]

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return -ctx.weight * gradient, None


class Adversary(nn.Module):
    """A head that learns to tell clips from recordings, while what it reads learns the opposite."""

    def __init__(self, features: int, width: int, weight: float, seed: int):
        """A head of random weights, that takes nothing from the stream of others.

        Args:
            features: D, width of what it reads.
            width: of its hidden layer.
            weight: of the gradient that comes back reversed; the head itself learns at a weight of 1.
            seed: of its weights.
        """
        super().__init__()
        self.weight = weight
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.tell = nn.Sequential(
                nn.LayerNorm(features), nn.Linear(features, width), nn.GELU(), nn.Linear(width, 1)
            )

    def forward(self, features: torch.Tensor, synthetic: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Mean binary cross-entropy of the rows, each times its weight, a scalar in fp32.

        Divided by the number of rows, so that it does not depend on how a batch is sharded. Where all weights are 0,
        so are all gradients.

        Args:
            features: (B, D).
            synthetic: (B,) bool.
            weights: (B,) see `alignment_weights`.
        """
        logits = self.tell(_Reversal.apply(features, self.weight))[:, 0].float()
        return (binary_cross_entropy_with_logits(logits, synthetic.float(), reduction="none") * weights).mean()


def alignment_weights(synthetic: Sequence[bool]) -> list[float]:
    """The weight of every row of a step's whole batch: clips count as much as recordings, together 1 a row on average.

    All are 0 where all rows are of one kind: there is nothing to tell apart. A shard of the batch takes its share of
    these and makes none of its own: it may hold rows of one kind only.
    """
    rows, clips = len(synthetic), sum(synthetic)
    if clips in (0, rows):
        return [0.0] * rows
    return [rows / (2 * (clips if made else rows - clips)) for made in synthetic]
