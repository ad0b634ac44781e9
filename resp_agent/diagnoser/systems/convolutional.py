"""Convolutional networks on log-mel images, from scratch: PANNs' CNN6 and ResNet-18, at the width that settings name.

Both were published with batch normalisation. Its running statistics would be those of the last steps while the weights
that count are an average over many, and padding would enter them; here every recording is normalised by itself, over
channels, bands and its real frames, so that neither neighbours nor padding reach a result.
"""

from itertools import pairwise

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, max_pool2d, relu

from resp_agent.diagnoser.classifier import Batch
from resp_agent.diagnoser.inputs import Inputs
from resp_agent.diagnoser.systems.branches import Branch
from resp_agent.diagnoser.systems.pooling import masked_mean, real_places
from resp_agent.settings import DiagnoserSettings

STAGES = 4
NARROWEST = 8
"""Channels below which a first stage tells too little apart."""


def channels(width: int) -> list[int]:
    """Channels of the stages, doubling; the last has `width` (512 as published)."""
    first = max(NARROWEST, width // 2 ** (STAGES - 1))
    return [first * 2**stage for stage in range(STAGES)]


class RealNorm(nn.Module):
    """Group normalisation (Wu and He 2018) with one group, over real places alone; what is padding becomes 0.

    Called with (B, C, T, F) and (B, 1, T, 1), 1 where real.
    """

    def __init__(self, channels: int, epsilon: float = 1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.epsilon = epsilon

    def forward(self, x: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        x = x * real
        places = (1, 2, 3)
        count = (real.float().sum(places) * x.shape[1] * x.shape[3]).clamp_min(1)
        mean = x.float().sum(places) / count
        variance = (x.float().square().sum(places) / count - mean.square()).clamp_min(0)
        scale = self.weight * (variance + self.epsilon).rsqrt()[:, None]
        shift = self.bias - mean[:, None] * scale
        return (x * scale[..., None, None] + shift[..., None, None]).to(self.weight.dtype) * real


class Cnn6(Branch):
    """CNN6 (Kong et al. 2020, arXiv 1912.10211): four blocks of a 5 x 5 convolution and 2 x 2 average pooling; the mean
    over bands; the sum of mean and maximum over time; one hidden layer. 0 where the audio is withheld, but for biases.
    """

    def __init__(self, settings: DiagnoserSettings, inputs: Inputs):
        super().__init__()
        sizes = [1, *channels(settings.width)]
        self.width = sizes[-1]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 5, padding=2, bias=False) for before, after in pairwise(sizes)
        )
        self.norms = nn.ModuleList(RealNorm(size) for size in sizes[1:])
        self.hidden = nn.Linear(self.width, self.width)

    def forward(self, batch: Batch) -> torch.Tensor:
        x, lengths = _image(batch, self.hidden.weight.dtype)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            real = _real(lengths, x)
            x = relu(norm(convolution(x), real))
            # The mean of what is real: a pool at the end of the audio may hold padding too.
            share = avg_pool2d(real.expand(-1, -1, -1, x.shape[3]), 2, ceil_mode=True)
            x = avg_pool2d(x, 2, ceil_mode=True) / share.clamp_min(0.25)
            lengths = -(-lengths // 2)
        over_time = x.mean(dim=3).transpose(1, 2)
        # All are at least 0, and padding is 0: it changes no maximum.
        pooled = masked_mean(over_time, real_places(lengths, x.shape[2])) + over_time.amax(dim=1)
        return relu(self.hidden(pooled))


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut, the first with a stride (He et al. 2016, figure 5 left)."""

    def __init__(self, before: int, after: int, stride: int):
        super().__init__()
        self.stride = stride
        self.first = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
        self.first_norm = RealNorm(after)
        self.second = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.second_norm = RealNorm(after)
        self.shortcut = nn.Conv2d(before, after, 1, stride, bias=False) if (before, stride) != (after, 1) else None
        self.shortcut_norm = RealNorm(after) if self.shortcut else None
        # A block begins close to its shortcut (Goyal et al. 2017, who begin at 0).
        nn.init.constant_(self.second_norm.weight, 0.2)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        lengths = -(-lengths // self.stride)
        y = self.first(x)
        real = _real(lengths, y)
        y = self.second_norm(self.second(relu(self.first_norm(y, real))), real)
        if self.shortcut:
            x = self.shortcut_norm(self.shortcut(x), real)
        return relu(x + y), lengths


class ResNet18(Branch):
    """ResNet-18 (He et al. 2016, arXiv 1512.03385) on one channel; the mean over bands and real time. 0 where the audio
    is withheld, but for biases."""

    BLOCKS = 2
    """In each stage."""

    def __init__(self, settings: DiagnoserSettings, inputs: Inputs):
        super().__init__()
        sizes = channels(settings.width)
        self.width = sizes[-1]
        self.first = nn.Conv2d(1, sizes[0], 7, 2, padding=3, bias=False)
        self.norm = RealNorm(sizes[0])
        blocks, before = [], sizes[0]
        for stage, size in enumerate(sizes):
            for block in range(self.BLOCKS):
                blocks.append(ResidualBlock(before, size, 2 if stage and not block else 1))
                before = size
        self.blocks = nn.ModuleList(blocks)

    def forward(self, batch: Batch) -> torch.Tensor:
        x, lengths = _image(batch, self.norm.weight.dtype)
        x, lengths = self.first(x), -(-lengths // 2)
        x = relu(self.norm(x, _real(lengths, x)))
        x, lengths = max_pool2d(x, 3, 2, padding=1), -(-lengths // 2)
        # A pool may reach from padding back into the audio.
        x = x * _real(lengths, x)
        for block in self.blocks:
            x, lengths = block(x, lengths)
        return masked_mean(x.mean(dim=3).transpose(1, 2), real_places(lengths, x.shape[2]))


def _image(batch: Batch, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, 1, T, F) with padding at 0, and (B,) lengths in T."""
    frames = batch.frames.to(dtype)[:, None]
    return frames * _real(batch.frame_lengths, frames), batch.frame_lengths


def _real(lengths: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """(B, 1, T, 1) of (B, C, T, F): 1 where real."""
    return real_places(lengths, x.shape[2])[:, None, :, None].to(x.dtype)
