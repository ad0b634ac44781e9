"""Layers of BEATs (Chen et al. 2023, "BEATs: Audio Pre-Training with Acoustic Tokenizers", arXiv 2212.09058)."""

import math
from functools import lru_cache

import torch
from torch import nn
from torch.nn.functional import gelu, scaled_dot_product_attention


class PositionalConvolution(nn.Module):
    """What a token's neighbourhood adds to it: a grouped convolution over tokens, then exact GELU.

    Released checkpoints store its weight as direction `weight_v` and size `weight_g` (weight normalisation over the
    kernel's positions); here it is one weight, which `fold` makes of the two.
    """

    def __init__(self, width: int, kernel: int, groups: int):
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(torch.empty(width, width // groups, kernel))
        self.bias = nn.Parameter(torch.zeros(width))
        nn.init.normal_(self.weight, std=math.sqrt(4 / (kernel * width)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, S, D) to (B, S, D)."""
        kernel = self.weight.shape[-1]
        mixed = nn.functional.conv1d(x.transpose(1, 2), self.weight, self.bias, padding=kernel // 2, groups=self.groups)
        # An even kernel gives one step too many.
        return gelu(mixed[..., : x.shape[1]]).transpose(1, 2)

    @staticmethod
    def fold(direction: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
        """The weight, (D, D / groups, kernel), from its direction and the size (1, 1, kernel) of each position."""
        return direction * (size / direction.norm(dim=(0, 1), keepdim=True))


@lru_cache(maxsize=64)
# What is made once may serve training later, whoever asks for it first.
@torch.inference_mode(False)
def relative_buckets(length: int, buckets: int, most: int) -> torch.Tensor:
    """(2 length - 1,) bucket of each distance key minus query, from 1 - length to length - 1.

    The first half of the buckets are for keys at or before the query. In each half, half are for exact distances and
    the rest grow logarithmically up to the distance `most` (Raffel et al. 2020, T5, section 2.1).
    """
    distance = torch.arange(1 - length, length)
    half = buckets // 2
    exact = half // 2
    near = distance.abs()
    growth = torch.log(near.clamp_min(1).float() / exact) / math.log(most / exact)
    far = (exact + (growth * (half - exact)).long()).clamp_max(half - 1)
    return torch.where(distance > 0, half, 0) + torch.where(near < exact, near, far)


def relative_bias(table: torch.Tensor, length: int, most: int) -> torch.Tensor:
    """(H, S, S), head by query by key, from a (buckets, H) table; see `relative_buckets`."""
    bucket = relative_buckets(length, len(table), most).to(table.device)
    # The row of query i is a window of the distances, which starts at -i.
    return table[bucket].T.unfold(-1, length, 1).flip(1)


class GatedAttention(nn.Module):
    """Self-attention with a relative position bias that each query gates for itself (WavLM, Chen et al. 2022, eq. 4-6).

    With g = `grep_linear`(q) of a head's unscaled query, summed over each half of its eight numbers, and
    (a, b) = sigmoid(g), the bias of this head and query is multiplied by a (b `grep_a` - 1) + 2.
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))
        self.grep_linear = nn.Linear(width // heads, 8)
        self.grep_a = nn.Parameter(torch.ones(1, heads, 1, 1))

    def forward(self, x: torch.Tensor, bias: torch.Tensor, padding: torch.Tensor | None) -> torch.Tensor:
        """(B, S, D) to (B, S, D).

        Args:
            bias: (H, S, S), the same for all layers.
            padding: (B, 1, 1, S), 0 for a real key and minus infinity for padding; None where all are real.
        """
        q, k, v = (
            project(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        a, b = self.grep_linear(q).unflatten(-1, (2, 4)).sum(-1).sigmoid().split(1, dim=-1)
        gate = a * (b * self.grep_a - 1) + 2
        mask = gate * bias if padding is None else torch.addcmul(padding, gate, bias)
        return self.out_proj(scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2))


class BeatsLayer(nn.Module):
    """A post-norm transformer layer whose residuals are scaled up (DeepNorm, Wang et al. 2022, section 3)."""

    def __init__(self, width: int, heads: int, feedforward: int, layers: int):
        super().__init__()
        self.residual = (2 * layers) ** 0.25
        self.self_attn = GatedAttention(width, heads)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, feedforward)
        self.fc2 = nn.Linear(feedforward, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, x: torch.Tensor, bias: torch.Tensor, padding: torch.Tensor | None) -> torch.Tensor:
        """(B, S, D) to (B, S, D); arguments as in `GatedAttention`."""
        x = self.self_attn_layer_norm(x * self.residual + self.self_attn(x, bias, padding))
        return self.final_layer_norm(x * self.residual + self.fc2(gelu(self.fc1(x))))
