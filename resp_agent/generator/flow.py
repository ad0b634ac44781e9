"""Conditional flow matching: a content, drafted in a style, to style-normalised log-mel.

The flow does not begin at noise but at the draft: the path is the straight one from a draft of a recording to the
recording, x_t = (1 - t) draft + t recording, whose velocity is recording - draft (Lipman et al. 2023, arXiv 2210.02747,
eq. 20 to 23; from any distribution and coupling: Albergo et al. 2024, arXiv 2310.03725, section 3). What a draft has
right is kept, its noise included, and few steps suffice. A small DiT (Peebles and Xie 2023) predicts the velocity.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from resp_agent.generator.solver import SOLVERS, even_times, warped_times
from resp_agent.settings import FlowSettings

LATE = 0.5
"""Moment from which a sample may be pulled: earlier, what it will be is hardly to be seen in it."""


@dataclass(frozen=True)
class Tokens:
    """Style-normalised frames as tokens: neighbours stacked, in whitened principal coordinates."""

    mean: np.ndarray
    """(frames M,) float32."""
    basis: np.ndarray
    """(D, frames M) float32, orthonormal."""
    scale: np.ndarray
    """(D,) float32 standard deviation along each direction."""

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
        # safetensors writes memory as it lies, so what is saved must lie in order.
        arrays = (mean, basis[:components], scale[:components])
        return cls(*(np.ascontiguousarray(value, np.float32) for value in arrays))

    def encode(self, normal: np.ndarray) -> np.ndarray:
        """(T, M) to (ceil(T / frames), D); the last frame is repeated to fill the last token."""
        stacked = _stack(normal, len(self.mean) // normal.shape[1])
        return ((stacked - self.mean) @ self.basis.T) / self.scale

    def decode(self, coordinates: np.ndarray, draft: np.ndarray) -> np.ndarray:
        """(S, D) and a (T, M) draft to (T, M): the draft, brought to the coordinates.

        What the coordinates leave out is noise-like and stays the draft's: what is rendered is not smoother than sound.
        """
        stacked = _stack(draft, len(self.mean) // draft.shape[1])
        moved = stacked + ((coordinates - self.encode(draft)) * self.scale) @ self.basis
        return moved.reshape(-1, draft.shape[1])[: len(draft)]


def _stack(frames_by_band: np.ndarray, frames: int) -> np.ndarray:
    extra = -len(frames_by_band) % frames
    padded = np.concatenate([frames_by_band, np.repeat(frames_by_band[-1:], extra, 0)]) if extra else frames_by_band
    return padded.reshape(len(padded) // frames, -1)


@dataclass(frozen=True)
class FlowBatch:
    """What the flow learns from. Shorter examples are padded; `mask` tells their real tokens."""

    target: torch.Tensor
    """(B, S, D) tokens of the recording."""
    draft: torch.Tensor
    """(B, S, D) tokens of the draft: the recording's content, known from another style, put on its own."""
    noise: torch.Tensor
    """(B, S, D) standard normal, of which `FlowSettings.noise` is added to the draft."""
    style: torch.Tensor
    """(B, V) style and conditions."""
    time: torch.Tensor
    """(B,) from 0, draft, to 1, recording."""
    drop: torch.Tensor
    """(B,) bool, true where the style is withheld."""
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
    """Velocity of tokens between draft and recording, given a style and conditions."""

    def __init__(self, settings: FlowSettings, dimensions: int, style_size: int):
        super().__init__()
        width = settings.width
        self.noise = settings.noise
        self.place = nn.Linear(dimensions, width)
        self.near = nn.Conv1d(width, width, 5, padding=2)
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
        target, time = batch.target.to(dtype), batch.time.to(dtype)
        start = (batch.draft + self.noise * batch.noise).to(dtype)
        t = time[:, None, None]
        predicted = self.velocity((1 - t) * start + t * target, time, batch.style, batch.drop, batch.mask)
        error = (predicted - (target - start)).float().square().mean(-1) * batch.mask
        return (error.sum(1) / batch.mask.sum(1)).mean()

    def velocity(
        self,
        x: torch.Tensor,
        time: torch.Tensor,
        style: torch.Tensor,
        drop: torch.Tensor,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """(B, S, D) tokens at (B,) times -> (B, S, D) velocity."""
        h = self.place(x)
        if mask is not None:
            h = h * mask[..., None]
        h = h + self.near(h.transpose(1, 2)).transpose(1, 2)
        styled = torch.where(drop[:, None], self.no_style, self.style(style.to(x.dtype)))
        condition = functional.silu(styled + self.time(_waves(time, 32).to(x.dtype)))
        where = torch.arange(x.shape[1], device=x.device, dtype=torch.float32) / 1000
        h = h + _waves(where, h.shape[-1]).to(x.dtype)
        attend = None if mask is None else mask[:, None, None]
        for block in self.blocks:
            h = block(h, condition, attend)
        scale, shift = self.last(condition)[:, None].chunk(2, -1)
        return self.out(functional.layer_norm(h, h.shape[-1:]) * (1 + scale) + shift)

    @torch.no_grad()
    def sample(
        self,
        draft: torch.Tensor,
        style: torch.Tensor,
        noise: torch.Tensor,
        how: FlowSettings,
        pull: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Tokens (B, S, D) for drafts (B, S, D), styles (B, V) and standard normal `noise` (B, S, D).

        `how.guidance` w gives w conditional + (1 - w) unconditional velocity, both in one batch of 2B; 1 is none.
        From the moment `LATE` on `pull` is told the estimate of the clean tokens, and what it answers is added to the
        velocity.
        """
        count = len(draft)
        keep = torch.zeros(count, dtype=torch.bool, device=draft.device)
        drop = torch.cat([keep, ~keep])

        def conditional(x: torch.Tensor, t: float) -> torch.Tensor:
            return self.velocity(x, x.new_full((count,), t), style, keep)

        def guided(x: torch.Tensor, t: float) -> torch.Tensor:
            both = self.velocity(x.repeat(2, 1, 1), x.new_full((2 * count,), t), style.repeat(2, 1), drop)
            return how.guidance * both[:count] + (1 - how.guidance) * both[count:]

        free = conditional if how.guidance == 1 else guided

        def pulled(x: torch.Tensor, t: float) -> torch.Tensor:
            velocity = free(x, t)
            return velocity if t < LATE else velocity + pull(x + (1 - t) * velocity)

        times = (warped_times if how.warp else even_times)(how.solver_steps + 1)
        return SOLVERS[how.solver](free if pull is None else pulled, draft + how.noise * noise, times)


def _waves(position: torch.Tensor, width: int) -> torch.Tensor:
    """(N,) positions, in thousandths, to (N, width) sines and cosines (Vaswani et al. 2017, section 3.5)."""
    rates = torch.exp(-np.log(10_000.0) * torch.arange(width // 2, device=position.device) / (width // 2))
    angles = 1000 * position.float()[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], -1)
