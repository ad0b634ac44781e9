"""Frames to audio tokens: the stems of the systems that hear."""

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import pad

from resp_agent.diagnoser.inputs import Inputs
from resp_agent.diagnoser.systems.pooling import real_places
from resp_agent.errors import UserError
from resp_agent.settings import DiagnoserSettings
from resp_agent.weights import locate


class AudioTokens(nn.Module):
    """(B, T, F) frames to (B, ceil(T / stride), D) tokens: two convolutions over time, padding kept at zero."""

    def __init__(self, features: int, width: int, stride: int):
        super().__init__()
        self.stride = stride
        self.first = nn.Conv1d(features, width, 5, padding=2)
        self.second = nn.Conv1d(width, width, 5, stride=stride, padding=2)

    def forward(self, frames: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        real = real_places(lengths, frames.shape[1]).to(frames.dtype)
        x = nn.functional.gelu(self.first((frames * real[..., None]).transpose(1, 2))) * real[:, None]
        return nn.functional.gelu(self.second(x)).transpose(1, 2), -(-lengths // self.stride)


class FrameProjection(nn.Module):
    """(B, T, F) frames to (B, ceil(T / stride), D) tokens: the mean of `stride` neighbours, projected."""

    def __init__(self, features: int, width: int, stride: int):
        super().__init__()
        self.stride = stride
        self.linear = nn.Linear(features, width)

    def forward(self, frames: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        real = real_places(lengths, frames.shape[1]).to(frames.dtype)[..., None]
        spare = -frames.shape[1] % self.stride
        sums, counts = (pad(x, (0, 0, 0, spare)).unflatten(1, (-1, self.stride)).sum(2) for x in (frames * real, real))
        return self.linear(sums / counts.clamp_min(1)), -(-lengths // self.stride)


def make_stem(kind: str, settings: DiagnoserSettings, inputs: Inputs, width: int) -> nn.Module:
    """A stem, with the pretrained weights that the settings name, or fresh ones.

    Called with (B, T, F) frames and (B,) lengths it gives (B, ceil(T / stride), D) tokens every `token_ms`, and their
    lengths.

    Args:
        kind: see `DiagnoserSettings.audio_stem`.
        width: D.

    Raises:
        UserError: the weights are not there, or are those of another stem.
    """
    stride = round(settings.token_ms / inputs.frame_ms)
    if kind == "conformer":
        # Imported when needed: it loads transformers.
        from resp_agent.diagnoser.systems.conformer import ConformerStem

        stem = ConformerStem(inputs.width, width, stride, settings.layers, settings.heads)
    else:
        make = {"convolution": AudioTokens, "projection": FrameProjection}[kind]
        stem = make(inputs.width, width, stride)
    if settings.stem_weights and not inputs.weights_follow:
        _load(stem, settings.stem_weights)
    return stem


def _load(stem: nn.Module, name: str) -> None:
    file = locate(name)
    try:
        stem.load_state_dict(load_file(file))
    except (SafetensorError, OSError) as problem:
        raise UserError(f"the stem weights {file} are not a safetensors file ({problem})") from None
    except RuntimeError as problem:
        reason = str(problem).splitlines()[1].strip()
        raise UserError(
            f"the stem weights {file} are those of another stem ({reason}): give --diagnoser.audio-stem, width, layers "
            "and encoder as they were in its training"
        ) from None
