"""The released flow, exactly: a DiT over log-mel frames, given units, a style's mean feature and a reference."""

from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from resp_agent.generator.released_flow_settings import ReleasedFlowSettings
from resp_agent.generator.solver import Solver, euler, warped_times
from resp_agent.settings.checks import refuse
from resp_agent.tensor_files import fill, named, read_plain, read_tensors, save_tensors, state_of

FLOW_FILES = ("flow.safetensors", "flow.pt")
"""Names that `load_flow` looks for in a folder, the first one that is there being read."""
EPS = 1e-6
"""Of every layer normalisation."""


class Attention(nn.Module):
    """Self-attention of all frames, with parameters named as in torch's own."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, T, D) -> (B, T, D)."""
        projected = functional.linear(x, self.in_proj_weight, self.in_proj_bias)
        query, key, value = projected.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.out_proj(functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention and a feed-forward layer, modulated and gated by the time (Peebles and Xie 2023, section 3.2)."""

    def __init__(self, width: int, heads: int, widening: int):
        super().__init__()
        self.attn = Attention(width, heads)
        # The third place is the release's dropout, which only training has.
        self.ff = nn.Sequential(
            nn.Linear(width, widening * width), nn.GELU(), nn.Identity(), nn.Linear(widening * width, width)
        )
        self.time_mlp = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """(B, T, D) frames, (B, D) or (1, D) embedded time -> (B, T, D)."""
        scale, shift, scale2, shift2, gate, gate2 = self.time_mlp(time)[:, None].chunk(6, -1)
        x = x + gate * self.attn(functional.layer_norm(x, x.shape[-1:], eps=EPS) * (1 + scale) + shift)
        return x + gate2 * self.ff(functional.layer_norm(x, x.shape[-1:], eps=EPS) * (1 + scale2) + shift2)


class ReleasedFlow(nn.Module):
    """The velocity that carries noise to a normalised log-mel, along x_t = (1 - t) x_0 + t x_1."""

    def __init__(self, settings: ReleasedFlowSettings):
        super().__init__()
        width = settings.width
        self.settings = settings
        self.token_embedding = nn.Embedding(settings.units, settings.unit_width)
        self.input_proj = nn.Linear(2 * settings.mels + settings.unit_width + settings.feature_width, width)
        self.pos_emb = nn.Parameter(torch.empty(settings.positions, width))
        self.time_embed = nn.Sequential(nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, width))
        self.blocks = nn.ModuleList(Block(width, settings.heads, settings.widening) for _ in range(settings.layers))
        self.output_layer = nn.Sequential(nn.LayerNorm(width, eps=EPS), nn.Linear(width, settings.mels))

    def velocity(
        self,
        x_t: torch.Tensor,
        t: torch.Tensor,
        units: torch.Tensor,
        style_features: torch.Tensor,
        reference_mel: torch.Tensor,
    ) -> torch.Tensor:
        """(B, M, T): change of the normalised log-mel per unit of time, without guidance.

        Args:
            x_t: (B, M, T) between noise and log-mel.
            t: (B,) from 0, noise, to 1, log-mel.
            units: (B, S) int64, stretched over the T frames.
            style_features: (B, S, D) tokens of the style reference, of which the mean is used.
            reference_mel: (B, M, T) beginning of the reference's normalised log-mel; 0 in the frames after it.

        Raises:
            UserError: there are more frames than positions.
        """
        content = self._content(units, style_features, x_t.shape[-1])
        return self._velocity(x_t, t, self._condition(content, reference_mel))

    @torch.inference_mode()
    def mel(
        self,
        x0: torch.Tensor,
        units: torch.Tensor,
        style_features: torch.Tensor,
        reference_mel: torch.Tensor,
        guidance: float | None = None,
        points: int | None = None,
        solver: Solver = euler,
    ) -> torch.Tensor:
        """(B, M, T) normalised log-mel.

        Args:
            x0: (B, M, T) noise of standard deviation `settings.noise`; the others as in `velocity`.
            guidance: w of v_without + w (v_with - v_without), where units and style are withheld but the reference
                log-mel is not; 1 is none. By default the checkpoint's.
            points: moments at which the solver stops, warped. By default the checkpoint's.
            solver: of `resp_agent.generator.solver`.

        Raises:
            UserError: there are more frames than positions.
        """
        count = len(x0)
        weight = self.settings.guidance if guidance is None else guidance
        content = self._content(units, style_features, x0.shape[-1])
        if weight != 1:
            # Both velocities of a step come from one batch of 2B, those without content at its end.
            content = torch.cat([content, torch.zeros_like(content)])
            reference_mel = torch.cat([reference_mel, reference_mel])
        condition = self._condition(content, reference_mel)

        def velocity(x: torch.Tensor, t: float) -> torch.Tensor:
            v = self._velocity(x, x.new_tensor([t]), condition)
            return v if weight == 1 else v[count:] + weight * (v[:count] - v[count:])

        return solver(velocity, x0, warped_times(self.settings.points if points is None else points))

    def denormalised(self, mel: torch.Tensor) -> torch.Tensor:
        """Natural-log mel magnitudes, as Vocos takes them, of normalised ones."""
        return mel * self.settings.mel_std + self.settings.mel_mean

    def _content(self, units: torch.Tensor, style_features: torch.Tensor, frames: int) -> torch.Tensor:
        """(B, T, unit width + feature width): what guidance withholds."""
        embedded = self.token_embedding(units).transpose(1, 2)
        stretched = functional.interpolate(embedded, frames, mode="linear", align_corners=False).transpose(1, 2)
        return torch.cat([stretched, style_features.mean(1, keepdim=True).expand(-1, frames, -1)], -1)

    def _condition(self, content: torch.Tensor, reference_mel: torch.Tensor) -> torch.Tensor:
        """(B, T, D): the part of the input that is the same at all times, projected, with positions."""
        frames, positions = content.shape[1], self.settings.positions
        refuse(frames > positions, f"{frames} frames are more than the {positions} that the flow can render")
        rest = self.input_proj.weight[:, self.settings.mels :]
        given = torch.cat([content, reference_mel.transpose(1, 2)], -1)
        return functional.linear(given, rest, self.input_proj.bias) + self.pos_emb[:frames]

    def _velocity(self, x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """(B, M, T) at (B,) or (1,) times with (B, T, D) or (2B, T, D) conditions -> (B, M, T) or (2B, M, T)."""
        noisy = functional.linear(x.transpose(1, 2), self.input_proj.weight[:, : self.settings.mels])
        h = noisy.repeat(len(condition) // len(noisy), 1, 1) + condition
        time = self.time_embed(_waves(t, self.settings.width))
        for block in self.blocks:
            h = block(h, time)
        return self.output_layer(h).transpose(1, 2)


def _waves(t: torch.Tensor, width: int) -> torch.Tensor:
    """(N,) times to (N, width): cosines, then sines, of times at falling rates (Vaswani et al. 2017, section 3.5)."""
    rates = 10_000.0 ** (-torch.arange(width // 2, dtype=t.dtype, device=t.device) / (width // 2))
    angles = t[:, None] * rates
    return torch.cat([angles.cos(), angles.sin()], -1)


def load_flow(path: Path) -> ReleasedFlow:
    """A flow, float32, on the CPU, in evaluation mode.

    Args:
        path: a released checkpoint (`{"config_yaml", "model_state_dict"}`), a file of `save_flow`, or a folder with one
            of `FLOW_FILES`.

    Raises:
        UserError: it is not there, no flow, or parameters are missing, too many or not finite.
    """
    file = next((path / name for name in FLOW_FILES if (path / name).is_file()), path) if path.is_dir() else path
    if file.suffix == ".safetensors":
        told, state = read_tensors(file, "flow")
        settings = named(file, lambda: ReleasedFlowSettings(**told))
    else:
        held = read_plain(file)
        state = state_of(held, "model_state_dict", file, "flow")
        settings = named(file, lambda: ReleasedFlowSettings.of(held.get("config_yaml", "")))
    with torch.device("meta"):
        flow = ReleasedFlow(settings)
    return fill(flow, state, file, "flow")


def save_flow(flow: ReleasedFlow, file: Path) -> None:
    """Writes a flow as safetensors with its settings as JSON in the metadata."""
    save_tensors(flow, "flow", asdict(flow.settings), file)
