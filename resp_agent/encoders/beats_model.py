"""The BEATs encoder and its unit tokenizer, with the parameters of the public checkpoints."""

from dataclasses import dataclass

import torch
from torch import nn

from resp_agent.audio.filter_bank import filter_bank, frame_count
from resp_agent.encoders.beats_layers import BeatsLayer, PositionalConvolution, relative_bias
from resp_agent.settings.checks import refuse

BANDS = 128
"""Mel bands of the filter bank."""
_MEAN, _SPREAD = 15.41663, 2 * 6.55582
"""The filter bank of AudioSet is centred and scaled with these."""


@dataclass(frozen=True)
class BeatsSettings:
    """Sizes of a BEATs; the defaults are those of the public base models."""

    patch: int = 16
    """Frames, and mel bands, of a patch."""
    patch_width: int = 512
    """Numbers that a patch becomes first."""
    width: int = 768
    """D, numbers of a token."""
    feedforward: int = 3072
    """Width inside a layer's feed-forward part."""
    heads: int = 12
    """Attention heads."""
    layers: int = 12
    """Transformer layers."""
    kernel: int = 128
    """Tokens that the positional convolution spans."""
    groups: int = 16
    """Groups of the positional convolution."""
    buckets: int = 320
    """Buckets of relative positions; divides by 4."""
    distance: int = 800
    """Relative position from which all share a bucket."""
    units: int = 0
    """Units of a tokenizer's codebook; 0 for an encoder."""
    unit_width: int = 0
    """Numbers of a codebook row; 0 for an encoder."""

    def __post_init__(self):
        counts = (self.patch, self.patch_width, self.width, self.feedforward, self.heads, self.layers, self.kernel)
        refuse(min(counts) < 1, f"BEATs sizes are at least 1: {counts}")
        refuse(BANDS % self.patch != 0, f"a patch of {self.patch} bands does not divide the {BANDS} of BEATs")
        for name, parts in (("heads", self.heads), ("groups", self.groups)):
            refuse(
                parts < 1 or self.width % parts != 0,
                f"a BEATs width of {self.width} does not divide into {parts} {name}",
            )
        refuse(
            self.buckets < 8 or self.buckets % 4 != 0 or self.distance <= self.buckets // 4,
            f"{self.buckets} buckets for distances up to {self.distance}: BEATs needs a multiple of 4, at least 8, and "
            "less than 4 times the distance",
        )
        refuse(
            (self.units > 0) != (self.unit_width > 0),
            f"{self.units} units of {self.unit_width} numbers: a tokenizer has both, an encoder neither",
        )

    @property
    def bands(self) -> int:
        """F, patches of one moment, one above the other."""
        return BANDS // self.patch


class Beats(nn.Module):
    """Audio to tokens, one for each patch: the F patches of a moment from low to high, then the next moment.

    A state dict in the released layout loads strictly; see `_from_released`.
    """

    def __init__(self, settings: BeatsSettings):
        super().__init__()
        self.settings = settings
        size, width = settings.patch, settings.width
        self.patch_embedding = nn.Conv2d(1, settings.patch_width, size, stride=size, bias=False)
        self.layer_norm = nn.LayerNorm(settings.patch_width)
        self.post_extract_proj = (
            nn.Identity() if settings.patch_width == width else nn.Linear(settings.patch_width, width)
        )
        self.encoder = nn.Module()
        self.encoder.pos_conv = nn.ModuleList([PositionalConvolution(width, settings.kernel, settings.groups)])
        self.encoder.layer_norm = nn.LayerNorm(width)
        self.encoder.layers = nn.ModuleList(
            BeatsLayer(width, settings.heads, settings.feedforward, settings.layers) for _ in range(settings.layers)
        )
        table = nn.Embedding(settings.buckets, settings.heads)
        self.encoder.layers[0].self_attn.relative_attention_bias = table
        nn.init.normal_(table.weight, std=0.02)
        self.register_load_state_dict_pre_hook(_from_released)

    def forward(self, frames: torch.Tensor, padding: torch.Tensor | None = None) -> torch.Tensor:
        """(B, frames, 128) filter bank as `hear` gives it to (B, S, D) tokens, S = whole patches x F.

        Args:
            frames: frames after the last whole patch are not heard.
            padding: (B, S) bool, True for padding: zeroed before tokens see each other, and never attended to.
        """
        weight = self.patch_embedding.weight
        tokens = self.patch_embedding(frames[:, None].to(weight.dtype)).flatten(2).transpose(1, 2)
        x = self.post_extract_proj(self.layer_norm(tokens))
        hidden = None
        if padding is not None:
            x = x.masked_fill(padding[..., None], 0)
            hidden = torch.zeros_like(padding, dtype=x.dtype).masked_fill(padding, -torch.inf)[:, None, None]
        x = self.encoder.layer_norm(x + self.encoder.pos_conv[0](x))
        table = self.encoder.layers[0].self_attn.relative_attention_bias.weight
        bias = relative_bias(table, x.shape[1], self.settings.distance)
        for layer in self.encoder.layers:
            x = layer(x, bias, hidden)
        return x

    def features(self, waveform: torch.Tensor, padding_mask: torch.Tensor | None = None) -> torch.Tensor:
        """(B, samples) float32 at 16 kHz to (B, S, D) tokens, as the release computes them.

        Args:
            waveform: full scale 1.
            padding_mask: (B, samples) bool, True for padding; `token_padding` says which tokens it makes padding.
        """
        padding = None if padding_mask is None else self.token_padding(padding_mask)
        return self(hear(waveform), padding)

    def token_padding(self, padding_mask: torch.Tensor) -> torch.Tensor:
        """(B, samples) bool to (B, S) bool, as the release groups them: a token is padding if all its samples are.

        Samples are cut to a multiple of the frames and shared out evenly among them, and frames likewise among tokens,
        so that a token's samples are not quite those that it hears, and nor are they for one band as for the next.
        """
        frames = frame_count(padding_mask.shape[-1])
        tokens = frames // self.settings.patch * self.settings.bands
        mask = padding_mask.bool()
        for count in (frames, tokens):
            mask = mask[:, : mask.shape[1] // count * count].unflatten(-1, (count, -1)).all(-1)
        return mask


class BeatsTokenizer(Beats):
    """A BEATs whose tokens are named by the nearest row of a codebook of l2-normalised vectors."""

    def __init__(self, settings: BeatsSettings):
        super().__init__(settings)
        refuse(settings.units < 1, "a tokenizer needs units: its settings have none")
        width = settings.width
        self.quantize_layer = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, settings.unit_width))
        self.quantize = nn.Module()
        self.quantize.embedding = nn.Embedding(settings.units, settings.unit_width)
        with torch.no_grad():
            self.quantize.embedding.weight.copy_(nn.functional.normalize(self.quantize.embedding.weight, dim=-1))

    def name(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, S, D) tokens to (B, S) int64 units."""
        codebook = self.quantize.embedding.weight
        projected = nn.functional.normalize(self.quantize_layer(tokens), dim=-1)
        return (codebook.square().sum(-1) - 2 * projected @ codebook.T).argmin(-1)

    def units(self, waveform: torch.Tensor, padding_mask: torch.Tensor | None = None) -> torch.Tensor:
        """(B, samples) to (B, S) int64 units; arguments as in `features`."""
        return self.name(self.features(waveform, padding_mask))


def hear(waveform: torch.Tensor) -> torch.Tensor:
    """(B, samples) float32 at 16 kHz to the (B, frames, 128) filter bank that BEATs was trained on."""
    return (filter_bank(waveform, BANDS) - _MEAN) / _SPREAD


def _from_released(module: Beats, state: dict, prefix: str, *_) -> None:
    """Turns a released state dict into ours: one positional weight, one table of positions, no bookkeeping of training.

    A table of a later layer that is not the first one's, which the release shares among all, stays in and is refused.
    """
    convolution = f"{prefix}encoder.pos_conv.0."
    if f"{convolution}weight_g" in state and f"{convolution}weight_v" in state:
        size, direction = state.pop(f"{convolution}weight_g"), state.pop(f"{convolution}weight_v")
        state[f"{convolution}weight"] = PositionalConvolution.fold(direction.float(), size.float())
    table = f"{prefix}encoder.layers.%d.self_attn.relative_attention_bias.weight"
    for layer in range(1, module.settings.layers):
        if table % layer in state and table % 0 in state and torch.equal(state[table % layer], state[table % 0]):
            del state[table % layer]
    for name in ("cluster_size", "embedding.cluster_size", "embedding.embed_avg", "embedding.initted"):
        if isinstance(module, BeatsTokenizer):
            state.pop(f"{prefix}quantize.{name}", None)
