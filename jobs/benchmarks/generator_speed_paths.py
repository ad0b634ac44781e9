"""This project's path of the released generator, to be timed: sizes, random weights, and what is asked of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn

from jobs.benchmarks.generator_speed_solvers import Steps
from resp_agent.generator.released import RATE_HZ
from resp_agent.generator.released_flow import ReleasedFlow
from resp_agent.generator.released_flow_settings import ReleasedFlowSettings
from resp_agent.generator.released_planner import ReleasedPlanner
from resp_agent.generator.released_planner_settings import ReleasedPlannerSettings
from resp_agent.generator.vocos import Vocos, VocosSizes
from resp_agent.randomness import seed_of, stream
from resp_agent.settings.checks import refuse
from resp_agent.training.distributed import device

DISEASES = ("Asthma", "Pneumonia", "Bronchiectasis", "Control Group")
HEARD = 62
"""Moments of a style reference of 10 s, each of so many tokens as the encoder has bands."""
BANDS = 8
UNITS_PER_SECOND = 49.6
"""BEATs': 496 in 10 s."""
CONTROL_TOKENS = 12
"""Tokens of audio that are no units: four of control and eight style slots."""
GUIDANCE = 3.0
"""Of the release."""


@dataclass(frozen=True)
class Sizes:
    """What both paths are made of. The planner's defaults are the paper's, Qwen3-0.6B with 1,024 units; the vocoder's
    are the public Vocos'. The flow is the larger of the two common sizes of DiT that a CPU renders in minutes (B)."""

    words: int = 151_669
    """Tokens of text in the planner's vocabulary."""
    units: int = 1024
    """Units in it, and in the flow's."""
    feature_width: int = 768
    """Width of the audio encoder's tokens."""
    planner_width: int = 1024
    """Width of the planner; within a feed-forward layer it is three times as much."""
    planner_layers: int = 28
    """Layers of the planner."""
    planner_heads: int = 16
    """Heads of its queries; keys and values have half as many."""
    planner_head_width: int = 128
    """Width of its heads."""
    flow_width: int = 768
    """Width of the flow; within a feed-forward layer it is four times as much."""
    flow_layers: int = 12
    """Layers of the flow."""
    flow_heads: int = 12
    """Attention heads of the flow."""
    vocoder_width: int = 512
    """Width of the vocoder; within a block it is three times as much."""
    vocoder_layers: int = 8
    """Layers of the vocoder."""
    mels: int = 100
    """Mel bands between flow and vocoder."""

    def __post_init__(self):
        refuse(self.planner_heads % 2 != 0, f"{self.planner_heads} heads of a planner do not divide by 2")


@dataclass(frozen=True)
class Asked:
    """A clip to be made: what no model draws."""

    disease: str
    features: torch.Tensor
    """(S, D) tokens of the style reference, as the encoder gives them once for each reference."""
    draws: np.ndarray
    """(N,) uniform numbers in [0, 1), one for each unit."""
    noise: torch.Tensor
    """(M, T) from which the flow starts."""


def asked_for(sizes: Sizes, clip_s: float, count: int, seed: int) -> list[Asked]:
    """Clips of `clip_s` seconds each."""
    clips, hop = [], VocosSizes().hop
    for index in range(count):
        rng = stream("generator speed", seed, index)
        features = rng.standard_normal((HEARD * BANDS, sizes.feature_width), np.float32)
        noise = 0.5 * rng.standard_normal((sizes.mels, max(round(clip_s * RATE_HZ / hop), 2)), np.float32)
        draws = rng.random(max(round(clip_s * UNITS_PER_SECOND), 1))
        tensors = (torch.from_numpy(one).to(device()) for one in (features, noise))
        features, noise = tensors
        clips.append(Asked(DISEASES[index % len(DISEASES)], features, draws, noise))
    return clips


class Ours:
    """This project's path: clips in batches, only units and [END] with logits, both velocities of guidance in one
    batch, as few steps as are told."""

    def __init__(self, sizes: Sizes, frames: int):
        torch.manual_seed(seed_of("generator speed", "weights") % 2**63)
        self.planner = ReleasedPlanner(_planner_settings(sizes), _words(sizes.words))
        self.flow = ReleasedFlow(_flow_settings(sizes, frames))
        self.vocoder = Vocos(VocosSizes(sizes.mels, sizes.vocoder_width, 3 * sizes.vocoder_width, sizes.vocoder_layers))
        for part in (self.planner, self.flow, self.vocoder):
            _draw(part)
            part.to(device()).eval().requires_grad_(False)

    def plan(self, clips: Sequence[Asked], temperature: float = 1.0) -> torch.Tensor:
        """(B, N) units."""
        features, draws = torch.stack([clip.features for clip in clips]), np.stack([clip.draws for clip in clips])
        diseases = [clip.disease for clip in clips]
        rows = self.planner.write_units(features, diseases, draws, temperature, least=draws.shape[1])
        return torch.from_numpy(np.stack(rows)).to(features.device)

    def render(self, clips: Sequence[Asked], units: torch.Tensor, steps: Steps) -> torch.Tensor:
        """(B, M, T) log-mel of (B, N) units."""
        x0, features = (torch.stack([getattr(clip, name) for clip in clips]) for name in ("noise", "features"))
        nothing = torch.zeros_like(x0)
        return self.flow.denormalised(self.flow.mel(x0, units, features, nothing, solver=steps.solve))

    @torch.inference_mode()
    def vocode(self, log_mels: torch.Tensor) -> torch.Tensor:
        """(B, samples)."""
        return self.vocoder(log_mels)


def _draw(model: nn.Module) -> None:
    """Random weights, so large that every layer counts in what comes out: outputs keep the variance of inputs."""
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
        elif name.endswith("bias"):
            nn.init.zeros_(parameter)


def _planner_settings(sizes: Sizes) -> ReleasedPlannerSettings:
    return ReleasedPlannerSettings(
        vocab_size=sizes.words + CONTROL_TOKENS + sizes.units,
        feature_width=sizes.feature_width,
        style_width=sizes.planner_width,
        hidden_size=sizes.planner_width,
        intermediate_size=3 * sizes.planner_width,
        num_hidden_layers=sizes.planner_layers,
        num_attention_heads=sizes.planner_heads,
        num_key_value_heads=sizes.planner_heads // 2,
        head_dim=sizes.planner_head_width,
    )


def _flow_settings(sizes: Sizes, frames: int) -> ReleasedFlowSettings:
    return ReleasedFlowSettings(
        units=sizes.units,
        unit_width=256,
        feature_width=sizes.feature_width,
        width=sizes.flow_width,
        heads=sizes.flow_heads,
        layers=sizes.flow_layers,
        widening=4,
        positions=frames,
        noise=0.5,
        points=32,
        guidance=GUIDANCE,
        mel_mean=-5.8843,
        mel_std=2.2615,
        mels=sizes.mels,
    )


def _words(count: int) -> str:
    """A tokenizer of so many made-up words."""
    made = Tokenizer(models.WordLevel({f"w{word}": word for word in range(count)}, unk_token="w0"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return made.to_str()
