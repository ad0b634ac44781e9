"""Vocos: log-mel to waveform in one pass, by ConvNeXt blocks that write a spectrum (Siuzdak 2023, arXiv 2306.00814).

Modules are named as in the public weights, which load unchanged.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from resp_agent.settings.checks import refuse
from resp_agent.tensor_files import fill, named, read_plain, read_tensors, save_tensors

LOUDEST = 100.0
"""Largest magnitude of a bin."""
WHAT = "vocos"
_EPS = 1e-6
_PUBLIC_OVERLAP = 4
"""Hops in a window of the public weights, which tell the window alone."""


@dataclass(frozen=True)
class VocosSizes:
    """Sizes of a Vocos; those of the public 24 kHz weights but for the hop are read from their shapes."""

    mels: int = 100
    width: int = 512
    inner: int = 1536
    """Width inside a block."""
    layers: int = 8
    fft: int = 1024
    """Samples of a window."""
    hop: int = 256
    """Samples from one frame to the next."""
    edges: Literal["centre", "same"] = "centre"
    """`centre`: frame t lies around sample t hop, T frames make (T - 1) hop samples, as the public weights do; `same`:
    around the middle of hop t, T frames make T hop samples, as `audio.features.log_mel` does."""

    def __post_init__(self):
        for name in ("mels", "width", "inner", "layers", "fft", "hop"):
            refuse(getattr(self, name) < 1, f"{name} {getattr(self, name)} of a Vocos is below 1")
        refuse(
            self.fft % 2 != 0 or not self.hop <= self.fft // 2,
            f"a window of {self.fft} samples every {self.hop} leaves gaps: give an even window of at least two hops",
        )
        refuse(
            self.edges == "same" and (self.fft - self.hop) % 2 != 0,
            f"a window of {self.fft} samples cannot be centred on a hop of {self.hop}: make both even or both odd",
        )


class Block(nn.Module):
    """A ConvNeXt block: depthwise convolution, then two linear maps of every frame, scaled and added."""

    def __init__(self, width: int, inner: int, layers: int):
        super().__init__()
        self.dwconv = nn.Conv1d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=_EPS)
        self.pwconv1, self.pwconv2 = nn.Linear(width, inner), nn.Linear(inner, width)
        self.gamma = nn.Parameter(torch.full((width,), 1 / layers))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, D, T) -> (B, D, T)."""
        frames = self.norm(self.dwconv(x).transpose(1, 2))
        return x + (self.gamma * self.pwconv2(functional.gelu(self.pwconv1(frames)))).transpose(1, 2)


class Backbone(nn.Module):
    """Log-mel frames to features."""

    def __init__(self, sizes: VocosSizes):
        super().__init__()
        self.embed = nn.Conv1d(sizes.mels, sizes.width, 7, padding=3)
        self.norm = nn.LayerNorm(sizes.width, eps=_EPS)
        self.convnext = nn.ModuleList(Block(sizes.width, sizes.inner, sizes.layers) for _ in range(sizes.layers))
        self.final_layer_norm = nn.LayerNorm(sizes.width, eps=_EPS)

    def forward(self, log_mel: torch.Tensor) -> torch.Tensor:
        """(B, M, T) -> (B, T, D)."""
        x = self.norm(self.embed(log_mel).transpose(1, 2)).transpose(1, 2)
        for block in self.convnext:
            x = block(x)
        return self.final_layer_norm(x.transpose(1, 2))


class InverseTransform(nn.Module):
    """Spectrum to waveform by windowed overlap-add, each sample divided by the windows' power over it."""

    def __init__(self, sizes: VocosSizes):
        super().__init__()
        self.fft, self.hop = sizes.fft, sizes.hop
        self.cut = sizes.fft // 2 if sizes.edges == "centre" else (sizes.fft - sizes.hop) // 2
        self.register_buffer("window", torch.hann_window(sizes.fft))

    def forward(self, spectrum: torch.Tensor) -> torch.Tensor:
        """(B, bins, T) complex -> (B, samples)."""
        pieces = torch.fft.irfft(spectrum, self.fft, dim=1) * self.window[None, :, None]
        power = self.window.square()[None, :, None].expand(1, -1, spectrum.shape[-1])
        total, weight = self._overlap_add(pieces), self._overlap_add(power)
        kept = slice(self.cut, total.shape[-1] - self.cut)
        return total[:, kept] / weight[:, kept].clamp_min(1e-11)

    def _overlap_add(self, pieces: torch.Tensor) -> torch.Tensor:
        length = self.fft + (pieces.shape[-1] - 1) * self.hop
        return functional.fold(pieces, (1, length), (1, self.fft), stride=(1, self.hop))[:, 0, 0]


class Head(nn.Module):
    """Features to the waveform: log-magnitude and phase of each bin."""

    def __init__(self, sizes: VocosSizes):
        super().__init__()
        self.out = nn.Linear(sizes.width, sizes.fft + 2)
        self.istft = InverseTransform(sizes)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, T, D) -> (B, samples)."""
        magnitude, phase = self.out(features).transpose(1, 2).float().chunk(2, dim=1)
        return self.istft(torch.polar(magnitude.exp().clamp(max=LOUDEST), phase))


class Vocos(nn.Module):
    """Log-mel to waveform."""

    def __init__(self, sizes: VocosSizes):
        super().__init__()
        self.sizes = sizes
        self.backbone, self.head = Backbone(sizes), Head(sizes)

    def forward(self, log_mel: torch.Tensor) -> torch.Tensor:
        """(B, M, T) log-mel -> (B, samples); see `VocosSizes.edges` for how many.

        Raises:
            UserError: the log-mel has another number of bands, or too few frames for one sample.
        """
        bands, frames = log_mel.shape[1:]
        refuse(bands != self.sizes.mels, f"a log-mel of {bands} bands reaches a Vocos of {self.sizes.mels}")
        least = 1 if self.sizes.edges == "same" else 2
        refuse(frames < least, f"a log-mel of {frames} frames makes no sample: give at least {least}")
        return self.head(self.backbone(log_mel))


def load_vocos(file: Path) -> Vocos:
    """A Vocos from the public weights, or from what `save_vocos` wrote; float32, ready to use.

    Raises:
        UserError: the file is not there, broken, or not wholly a Vocos.
    """
    if Path(file).suffix == ".safetensors":
        told, state = read_tensors(file, WHAT)
        sizes = named(file, lambda: VocosSizes(**told))
    else:
        state = read_plain(file)
        # Not a parameter: what public weights were trained with to make their input.
        state = {name: value for name, value in state.items() if not name.startswith("feature_extractor.")}
        sizes = named(file, lambda: _sizes_of(state))
    return fill(Vocos(sizes), state, file, WHAT)


def save_vocos(model: Vocos, file: Path) -> None:
    """Writes a Vocos as safetensors, with its sizes."""
    save_tensors(model, WHAT, asdict(model.sizes), file)


def _sizes_of(state: Mapping[str, torch.Tensor]) -> VocosSizes:
    names = ("backbone.embed.weight", "backbone.convnext.0.pwconv1.weight", "head.istft.window")
    for name in names:
        refuse(name not in state, f"it has no {name}, which public weights of a Vocos have")
    embed, wide, window = (state[name] for name in names)
    layers = len({name.split(".")[2] for name in state if name.startswith("backbone.convnext.")})
    fft = len(window)
    return VocosSizes(embed.shape[1], embed.shape[0], wide.shape[0], layers, fft, fft // _PUBLIC_OVERLAP)
