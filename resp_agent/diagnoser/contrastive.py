"""The contrastive task: two crops of a recording, each heard through a device of its own, belong together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, normalize

from resp_agent.diagnoser.inputs import Inputs, View
from resp_agent.diagnoser.systems.pooling import masked_mean, real_places
from resp_agent.randomness import stream
from resp_agent.settings import PretrainingSettings

KNOTS = 5
"""Places along the bands at which a random response is drawn; it is linear in between."""
DB_PER_NEPER = 10 / np.log(10)
"""Log-mel is the natural logarithm of a power."""


@dataclass
class Crops:
    """Two crops of each of B recordings: rows b and B + b belong together."""

    frames: torch.Tensor
    """(2B, T, F) standardised frames."""
    lengths: torch.Tensor
    """(2B,) real frames."""


class Contrast(nn.Module):
    """A stem with a projection that is thrown away afterwards. Called with crops it gives the mean loss."""

    def __init__(self, stem: nn.Module, width: int, temperature: float):
        super().__init__()
        self.stem = stem
        self.project = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        self.temperature = temperature

    def forward(self, crops: Crops) -> torch.Tensor:
        """NT-Xent over the crops (Chen et al. 2020, SimCLR, equation 1)."""
        return contrastive_loss(self.embed(crops), self.temperature)

    def embed(self, crops: Crops) -> torch.Tensor:
        """(2B, D) projections of unit length."""
        dtype = self.project[0].weight.dtype
        tokens, lengths = self.stem(crops.frames.to(dtype), crops.lengths)
        pooled = masked_mean(tokens, real_places(lengths, tokens.shape[1]))
        return normalize(self.project(pooled).float(), dim=-1)


def contrastive_loss(embedded: torch.Tensor, temperature: float) -> torch.Tensor:
    """Mean cross-entropy of finding each crop's partner among all others.

    Args:
        embedded: (2B, D) of unit length; rows b and B + b are partners.
    """
    count = len(embedded)
    similar = embedded @ embedded.T / temperature
    itself = torch.eye(count, dtype=torch.bool, device=embedded.device)
    partner = torch.arange(count, device=embedded.device).roll(count // 2)
    return cross_entropy(similar.masked_fill(itself, float("-inf")), partner)


@dataclass(frozen=True)
class Pairs:
    """Batches of crops: a function of seed and step, so a restart repeats them."""

    inputs: Inputs
    settings: PretrainingSettings
    seed: tuple
    """Names the stream."""
    patients: Sequence[Sequence[View]]
    """Views of whole recordings, by patient; two of one patient are never told apart."""
    log_mel: bool
    """Whether frames are log-mel, to which a frequency response can be added."""

    def examples(self, step: int) -> list[tuple[View, int]]:
        """A step's recordings, of as many patients, each with the seed of its crops."""
        rng = stream(*self.seed, "step", step)
        size = self.settings.training.batch
        rounds = -(-size // len(self.patients))
        order = np.concatenate([rng.permutation(len(self.patients)) for _ in range(rounds)])[:size]
        chosen = (self.patients[patient] for patient in order)
        return [(views[rng.integers(len(views))], int(rng.integers(2**63))) for views in chosen]

    def collate(self, examples: list[tuple[View, int]]) -> Crops:
        """Both crops of each, padded to the longest."""
        crops = [self._crop(view, np.random.default_rng((seed, side))) for side in range(2) for view, seed in examples]
        frames = torch.zeros(len(crops), max(map(len, crops)), self.inputs.width)
        for row, crop in enumerate(crops):
            frames[row, : len(crop)] = torch.from_numpy(crop)
        return Crops(frames, torch.tensor([len(crop) for crop in crops]))

    def _crop(self, view: View, rng: np.random.Generator) -> np.ndarray:
        """(T, F) standardised frames of a random place, through a random device."""
        total = len(view.example.frames)
        length = min(total, max(1, round(self.settings.crop_s * 1000 / self.inputs.frame_ms)))
        frames = self.inputs.cut(view.example, int(rng.integers(total - length + 1)), length)
        bands = frames.shape[1]
        if self.log_mel:
            knots = rng.uniform(-1, 1, KNOTS) * self.settings.response_db / DB_PER_NEPER
            response = np.interp(np.linspace(0, 1, bands), np.linspace(0, 1, KNOTS), knots)
            frames = frames + response / self.inputs.scale
        noise = rng.uniform(0, self.settings.noise) * rng.standard_normal((length, bands))
        return (frames + noise).astype(np.float32)
