"""Conditional flow matching: units and a style to style-normalised log-mel.

The path is the straight one, x_t = (1 - t) noise + t data, whose velocity is data - noise (Lipman et al. 2023,
arXiv 2210.02747, eq. 20 to 23 with sigma_min = 0). A small DiT (Peebles and Xie 2023) predicts it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from resp_agent.settings import FlowSettings


@dataclass(frozen=True)
class Tokens:
    """Style-normalised frames as tokens: neighbours stacked, in whitened principal coordinates.

    What the coordinates leave out is noise-like; `decode` draws it anew, so rendered sound is not smoother than real.
    """

    mean: np.ndarray
    """(frames M,) float32."""
    basis: np.ndarray
    """(D, frames M) float32, orthonormal."""
    scale: np.ndarray
    """(D,) float32 standard deviation along each direction."""
    left_out: np.ndarray
    """(frames M - D, frames M) float32: the other principal directions, each as long as its standard deviation."""

    @classmethod
    def fit(cls, normals: list[np.ndarray], frames: int, components: int) -> "Tokens":
        """Principal coordinates of (T, M) style-normalised log-mels of the training split."""
        stacked = np.concatenate([_stack(one, frames) for one in normals]).astype(np.float64)
        mean = stacked.mean(0)
        centred = stacked - mean
        values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
        basis, scale = vectors[:, ::-1].T, np.sqrt(np.maximum(values[::-1], 1e-6))
        # The sign of an eigenvector is arbitrary: its largest entry is made positive.
        basis = basis * np.sign(basis[np.arange(len(basis)), np.abs(basis).argmax(1)])[:, None]
        kept, left_out = slice(0, components), basis[components:] * scale[components:, None]
        # safetensors writes memory as it lies, so what is saved must lie in order.
        return cls(*(np.ascontiguousarray(value, np.float32) for value in (mean, basis[kept], scale[kept], left_out)))

    def encode(self, normal: np.ndarray, frames: int) -> np.ndarray:
        """(T, M) to (ceil(T / frames), D); the last frame is repeated to fill the last token."""
        return ((_stack(normal, frames) - self.mean) @ self.basis.T) / self.scale

    def decode(self, coordinates: np.ndarray, frames: int, rng: np.random.Generator) -> np.ndarray:
        """(S, D) to (S frames, M)."""
        noise = rng.standard_normal((len(coordinates), len(self.left_out))).astype(np.float32) @ self.left_out
        stacked = (coordinates * self.scale) @ self.basis + self.mean + noise
        return stacked.reshape(len(coordinates) * frames, -1)


def _stack(frames_by_band: np.ndarray, frames: int) -> np.ndarray:
    extra = -len(frames_by_band) % frames
    padded = np.concatenate([frames_by_band, np.repeat(frames_by_band[-1:], extra, 0)]) if extra else frames_by_band
    return padded.reshape(len(padded) // frames, -1)


def euler(velocity: Callable[[torch.Tensor, float], torch.Tensor], noise: torch.Tensor, steps: int) -> torch.Tensor:
    """Carries `noise` from t = 0 to t = 1 along `velocity(x, t)` in equal Euler steps."""
    x = noise
    for step in range(steps):
        x = x + velocity(x, step / steps) / steps
    return x


@dataclass(frozen=True)
class FlowBatch:
    """What the flow learns from. Shorter examples are padded; `mask` tells their real tokens."""

    target: torch.Tensor
    """(B, S, D) tokens of the recording."""
    noise: torch.Tensor
    """(B, S, D) standard normal."""
    units: torch.Tensor
    """(B, S, frames) int64."""
    style: torch.Tensor
    """(B, V) styles and reference."""
    time: torch.Tensor
    """(B,) from 0, noise, to 1, data."""
    drop: torch.Tensor
    """(B,) bool, true where units and style are withheld."""
    mask: torch.Tensor
    """(B, S) bool, true for real tokens."""


class Block(nn.Module):
    """Attention and a feed-forward layer, both modulated and gated by the condition (adaLN-zero)."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.modulation = nn.Linear(width, 6 * width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 3 * width), nn.Linear(3 * width, width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: torch.Tensor, condition: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """(B, S, D), (B, D) condition, (B, 1, 1, S) true for real tokens or None -> (B, S, D)."""
        batch, length, width = x.shape
        shift, scale, gate, shift2, scale2, gate2 = self.modulation(condition)[:, None].chunk(6, -1)
        h = functional.layer_norm(x, (width,)) * (1 + scale) + shift
        q, k, v = self.query_key_value(h).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + gate * self.merge(attended.transpose(1, 2).reshape(batch, length, width))
        h = functional.layer_norm(x, (width,)) * (1 + scale2) + shift2
        return x + gate2 * self.narrow(functional.silu(self.widen(h)))


class Flow(nn.Module):
    """Velocity of noisy tokens, given units, styles and a reference."""

    def __init__(
        self, settings: FlowSettings, units: int, dimensions: int, style_size: int, centroids: np.ndarray | None = None
    ):
        super().__init__()
        width = settings.width
        bands = width if centroids is None else centroids.shape[1]
        self.units = nn.Embedding(units + 1, bands)
        if centroids is not None:
            with torch.no_grad():
                self.units.weight[:units] = torch.from_numpy(centroids)
                self.units.weight[units] = 0
        self.withheld = units
        self.place_units = nn.Linear(bands * settings.frames_per_token, width)
        self.near = nn.Conv1d(width, width, 5, padding=2)
        self.place_noisy = nn.Linear(dimensions, width)
        self.style = nn.Sequential(nn.Linear(style_size, width), nn.SiLU(), nn.Linear(width, width))
        self.no_style = nn.Parameter(torch.zeros(width))
        self.time = nn.Sequential(nn.Linear(32, width), nn.SiLU(), nn.Linear(width, width))
        self.blocks = nn.ModuleList(Block(width, settings.heads) for _ in range(settings.layers))
        self.last = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, dimensions)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, batch: FlowBatch) -> torch.Tensor:
        """Flow-matching loss: mean over an example's real tokens, then over examples: any split of a batch agrees."""
        dtype = self.out.weight.dtype
        target, noise, time = (one.to(dtype) for one in (batch.target, batch.noise, batch.time))
        t = time[:, None, None]
        predicted = self.velocity((1 - t) * noise + t * target, time, batch.units, batch.style, batch.drop, batch.mask)
        error = (predicted - (target - noise)).float().square().mean(-1) * batch.mask
        return (error.sum(1) / batch.mask.sum(1)).mean()

    def velocity(
        self,
        x: torch.Tensor,
        time: torch.Tensor,
        units: torch.Tensor,
        style: torch.Tensor,
        drop: torch.Tensor,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """(B, S, D) noisy tokens at (B,) times -> (B, S, D) velocity."""
        units = torch.where(drop[:, None, None], self.withheld, units)
        content = self.place_units(self.units(units).flatten(2))
        if mask is not None:
            content = content * mask[..., None]
        content = content + self.near(content.transpose(1, 2)).transpose(1, 2)
        styled = torch.where(drop[:, None], self.no_style, self.style(style.to(x.dtype)))
        condition = functional.silu(styled + self.time(_waves(time, 32).to(x.dtype)))
        where = torch.arange(x.shape[1], device=x.device, dtype=torch.float32) / 1000
        h = self.place_noisy(x) + content + _waves(where, content.shape[-1]).to(x.dtype)
        attend = None if mask is None else mask[:, None, None]
        for block in self.blocks:
            h = block(h, condition, attend)
        scale, shift = self.last(condition)[:, None].chunk(2, -1)
        return self.out(functional.layer_norm(h, h.shape[-1:]) * (1 + scale) + shift)

    @torch.inference_mode()
    def sample(
        self, units: torch.Tensor, style: torch.Tensor, noise: torch.Tensor, steps: int, guidance: float
    ) -> torch.Tensor:
        """Tokens (B, S, D) for units (B, S, frames) and styles (B, V), from `noise` (B, S, D).

        `guidance` w gives w conditional + (1 - w) unconditional velocity, both in one batch of 2B; 1 is no guidance.
        """
        count = len(units)
        keep = torch.zeros(count, dtype=torch.bool, device=units.device)
        if guidance == 1:
            return euler(lambda x, t: self.velocity(x, x.new_full((count,), t), units, style, keep), noise, steps)
        drop = torch.cat([keep, ~keep])

        def guided(x: torch.Tensor, t: float) -> torch.Tensor:
            both = self.velocity(
                x.repeat(2, 1, 1), x.new_full((2 * count,), t), units.repeat(2, 1, 1), style.repeat(2, 1), drop
            )
            return guidance * both[:count] + (1 - guidance) * both[count:]

        return euler(guided, noise, steps)


def _waves(position: torch.Tensor, width: int) -> torch.Tensor:
    """(N,) positions, in thousandths, to (N, width) sines and cosines (Vaswani et al. 2017, section 3.5)."""
    rates = torch.exp(-np.log(10_000.0) * torch.arange(width // 2, device=position.device) / (width // 2))
    angles = 1000 * position.float()[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], -1)
