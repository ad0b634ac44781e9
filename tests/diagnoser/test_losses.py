"""Losses against their formulas, and that a batch may be sharded anyhow."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from resp_agent.diagnoser.losses import class_weights, focal_loss, weighted_loss

LOGITS = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(12) % 4


def test_focal_loss_is_its_formula_and_cross_entropy_at_gamma_zero():
    torch.testing.assert_close(focal_loss(LOGITS, LABELS, 0.0), cross_entropy(LOGITS, LABELS))
    logits = torch.tensor([[math.log(3.0), 0.0]])
    expected = -((1 - 0.75) ** 2) * math.log(0.75)
    assert focal_loss(logits, torch.tensor([0]), 2.0).item() == pytest.approx(expected, rel=1e-5)


def test_class_weights_even_out_labels_and_average_one():
    counts = (60, 30, 10, 0)
    weights = class_weights(counts)
    shares = [weight * count for weight, count in zip(weights.tolist(), counts, strict=True)]
    assert shares[0] == pytest.approx(shares[1]) == pytest.approx(shares[2])
    assert sum(shares) / sum(counts) == pytest.approx(1)
    assert weights[3] == 0


def test_losses_of_shards_average_to_the_loss_of_the_batch():
    weights = class_weights((8, 4, 2, 1))
    for loss in (lambda x, y: weighted_loss(x, y, weights), lambda x, y: focal_loss(x, y, 2.0)):
        halves = (loss(LOGITS[:6], LABELS[:6]) + loss(LOGITS[6:], LABELS[6:])) / 2
        torch.testing.assert_close(halves, loss(LOGITS, LABELS))
