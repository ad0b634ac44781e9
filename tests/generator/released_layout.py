"""Made-up flows and vocoders in the released layout, of any size, with outputs of slow plain versions of them."""

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import yaml
from safetensors.torch import save_file
from torch import nn


@dataclass(frozen=True)
class FlowSizes:
    """What differs from one flow to the next."""

    units: int = 11
    unit_width: int = 6
    feature_width: int = 16
    width: int = 12
    heads: int = 3
    layers: int = 2
    widening: int = 2
    positions: int = 40
    mels: int = 7
    frames: int = 23
    heard: int = 9
    guidance: float = 3.0
    points: int = 6
    text: bool = True
    """Whether the configuration is YAML or what YAML says."""
    seed: int = 1


def make_flow(folder: Path, sizes: FlowSizes) -> Path:
    """`flow.pt` and `flow_expected.safetensors` in a folder."""
    folder.mkdir(exist_ok=True)
    draw = torch.Generator().manual_seed(sizes.seed)
    state = _flow_state(sizes, draw)
    flow = {
        "mel_mean": -5.5,
        "mel_std": 2,
        "vocab_size": sizes.units,
        "token_embedding_dim": sizes.unit_width,
        "feature_dim": sizes.feature_width,
        "hidden_dim": sizes.width,
        "n_heads": sizes.heads,
        "n_layers": sizes.layers,
        "ff_mult": sizes.widening,
        "dropout": 0.1,
        "sigma": 0.5,
        "n_timesteps": sizes.points,
        "cfg_scale": sizes.guidance,
        "max_pos_emb_len": sizes.positions,
    }
    config = {"hyperparameters": {"flow": flow}, "vocos": {"mel": {"n_mels": sizes.mels}}}
    told = yaml.safe_dump(config) if sizes.text else config
    torch.save({"config_yaml": told, "model_state_dict": state}, folder / "flow.pt")
    shape = (2, sizes.mels, sizes.frames)
    given = {
        "x_t": torch.randn(shape, generator=draw),
        "x0": 0.5 * torch.randn(shape, generator=draw),
        "t": torch.rand(2, generator=draw),
        "units": torch.randint(sizes.units, (2, sizes.heard), generator=draw),
        "style_features": torch.randn(2, 5, sizes.feature_width, generator=draw),
        "reference_mel": torch.randn(shape, generator=draw) * (torch.arange(sizes.frames) < sizes.frames // 3),
    }
    velocity = [plain_velocity(state, sizes, *(given[name][row] for name in _ORDER)) for row in range(2)]
    mel = [plain_mel(state, sizes, *(given[name][row] for name in ("x0", *_ORDER[2:]))) for row in range(2)]
    save_file(
        given | {"velocity": torch.stack(velocity), "mel": torch.stack(mel)}, folder / "flow_expected.safetensors"
    )
    return folder


_ORDER = ("x_t", "t", "units", "style_features", "reference_mel")


@torch.inference_mode()
def plain_velocity(
    state: dict, sizes: FlowSizes, x_t, t, units, style_features, reference_mel, conditional: bool = True
) -> torch.Tensor:
    """(M, T), as the page on the release says, for one clip, with torch's own multi-head attention."""
    frames, heard = x_t.shape[1], len(units)
    embedded = state["token_embedding.weight"][units].numpy()
    places = (np.arange(frames) + 0.5) * heard / frames - 0.5
    columns = [np.interp(places, np.arange(heard), column) for column in embedded.T]
    stretched = torch.from_numpy(np.stack(columns, 1)).float()
    feature = style_features.mean(0).expand(frames, -1)
    if not conditional:
        stretched, feature = torch.zeros_like(stretched), torch.zeros_like(feature)
    x = _linear(state, "input_proj", torch.cat([x_t.T, stretched, feature, reference_mel.T], 1))
    x = x + state["pos_emb"][:frames]
    half = sizes.width // 2
    angles = torch.tensor([float(t) * 10_000 ** (-index / half) for index in range(half)])
    time = _linear(state, "time_embed.0", torch.cat([angles.cos(), angles.sin()]))
    time = _linear(state, "time_embed.2", time * torch.sigmoid(time))
    for layer in range(sizes.layers):
        name = f"blocks.{layer}"
        chunks = _linear(state, f"{name}.time_mlp.1", time * torch.sigmoid(time)).chunk(6)
        gamma1, beta1, gamma2, beta2, alpha_attention, alpha_feedforward = chunks
        attention = nn.MultiheadAttention(sizes.width, sizes.heads, batch_first=True)
        own = {key.removeprefix(f"{name}.attn."): value for key, value in state.items() if f"{name}.attn." in key}
        attention.load_state_dict(own)
        h = (_normal(x) * (1 + gamma1) + beta1)[None]
        x = x + alpha_attention * attention(h, h, h)[0][0]
        h = _linear(state, f"{name}.ff.0", _normal(x) * (1 + gamma2) + beta2)
        h = h * 0.5 * (1 + torch.erf(h / math.sqrt(2)))
        x = x + alpha_feedforward * _linear(state, f"{name}.ff.3", h)
    x = _normal(x) * state["output_layer.0.weight"] + state["output_layer.0.bias"]
    return _linear(state, "output_layer.1", x).T


def plain_mel(state: dict, sizes: FlowSizes, x0, units, style_features, reference_mel) -> torch.Tensor:
    """(M, T), one evaluation after the other."""
    x = x0
    times = [1 - math.cos(math.pi * point / (sizes.points - 1) / 2) for point in range(sizes.points)]
    for now, then in pairwise(times):
        given = (state, sizes, x, now, units, style_features, reference_mel)
        with_content, without = plain_velocity(*given), plain_velocity(*given, conditional=False)
        x = x + (then - now) * (without + sizes.guidance * (with_content - without))
    return x


def make_vocos(folder: Path, mels: int = 5, width: int = 8, layers: int = 2, seed: int = 1) -> Path:
    """`vocos.bin` and `vocos_expected.safetensors` in a folder."""
    draw = torch.Generator().manual_seed(seed)
    shapes = {"backbone.embed.weight": (width, mels, 7), "backbone.embed.bias": (width,)}
    for name in ("norm", "final_layer_norm", *(f"convnext.{layer}.norm" for layer in range(layers))):
        shapes |= {f"backbone.{name}.weight": (width,), f"backbone.{name}.bias": (width,)}
    for layer in range(layers):
        name = f"backbone.convnext.{layer}"
        shapes |= {f"{name}.gamma": (width,), f"{name}.dwconv.weight": (width, 1, 7), f"{name}.dwconv.bias": (width,)}
        shapes |= {f"{name}.pwconv1.weight": (3 * width, width), f"{name}.pwconv1.bias": (3 * width,)}
        shapes |= {f"{name}.pwconv2.weight": (width, 3 * width), f"{name}.pwconv2.bias": (width,)}
    shapes |= {"head.out.weight": (1026, width), "head.out.bias": (1026,)}
    state = {name: 0.3 * torch.randn(shape, generator=draw) for name, shape in shapes.items()}
    state["head.istft.window"] = torch.hann_window(1024)
    state["feature_extractor.mel_spec.mel_scale.fb"] = torch.zeros(513, mels)
    torch.save(state, folder / "vocos.bin")
    log_mel = torch.randn(2, mels, 9, generator=draw)
    save_file(
        {"log_mel": log_mel, "waveform": plain_vocos(state, layers, log_mel).contiguous()},
        folder / "vocos_expected.safetensors",
    )
    return folder


def plain_vocos(state: dict, layers: int, log_mel: torch.Tensor) -> torch.Tensor:
    """(B, samples), as the page on the release says; overlap-add of windowed inverse transforms by hand."""

    def convolved(name: str, x: torch.Tensor, groups: int = 1) -> torch.Tensor:
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        return nn.functional.conv1d(x.transpose(1, 2), weight, bias, padding=3, groups=groups).transpose(1, 2)

    def normal(name: str, x: torch.Tensor) -> torch.Tensor:
        return _normal(x) * state[f"{name}.weight"] + state[f"{name}.bias"]

    x = normal("backbone.norm", convolved("backbone.embed", log_mel.transpose(1, 2)))
    for layer in range(layers):
        name = f"backbone.convnext.{layer}"
        h = normal(f"{name}.norm", convolved(f"{name}.dwconv", x, x.shape[-1]))
        h = _linear(state, f"{name}.pwconv1", h)
        h = h * 0.5 * (1 + torch.erf(h / math.sqrt(2)))
        x = x + state[f"{name}.gamma"] * _linear(state, f"{name}.pwconv2", h)
    magnitude, phase = _linear(state, "head.out", normal("backbone.final_layer_norm", x)).chunk(2, -1)
    spectrum = torch.polar(magnitude.exp().clamp(max=100), phase)
    window, frames = state["head.istft.window"], x.shape[1]
    pieces = torch.fft.irfft(spectrum, 1024) * window
    total, weight = torch.zeros(len(x), 1024 + 256 * (frames - 1)), torch.zeros(1024 + 256 * (frames - 1))
    for frame in range(frames):
        total[:, 256 * frame :][:, :1024] += pieces[:, frame]
        weight[256 * frame :][:1024] += window.square()
    return (total / weight.clamp_min(1e-11))[:, 512:-512]


def _flow_state(sizes: FlowSizes, draw: torch.Generator) -> dict[str, torch.Tensor]:
    width, wide = sizes.width, sizes.widening * sizes.width
    layers = {
        "input_proj": (width, 2 * sizes.mels + sizes.unit_width + sizes.feature_width),
        "time_embed.0": (4 * width, width),
        "time_embed.2": (width, 4 * width),
        "output_layer.1": (sizes.mels, width),
    }
    for layer in range(sizes.layers):
        name = f"blocks.{layer}"
        layers |= {f"{name}.attn.out_proj": (width, width), f"{name}.time_mlp.1": (6 * width, width)}
        layers |= {f"{name}.ff.0": (wide, width), f"{name}.ff.3": (width, wide)}
    shapes = {"pos_emb": (sizes.positions, width), "token_embedding.weight": (sizes.units, sizes.unit_width)}
    shapes |= {"output_layer.0.weight": (width,), "output_layer.0.bias": (width,)}
    for name, shape in layers.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for layer in range(sizes.layers):
        shapes[f"blocks.{layer}.attn.in_proj_weight"] = (3 * width, width)
        shapes[f"blocks.{layer}.attn.in_proj_bias"] = (3 * width,)
    return {name: 0.4 * torch.randn(shape, generator=draw) for name, shape in shapes.items()}


def _linear(state: dict, name: str, x: torch.Tensor) -> torch.Tensor:
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def _normal(x: torch.Tensor) -> torch.Tensor:
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-6).sqrt()
