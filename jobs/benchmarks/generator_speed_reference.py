"""The plain libraries' path of the released generator, to be timed against this project's with the same weights."""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional
from transformers import LogitsProcessorList, Qwen3ForCausalLM

from jobs.benchmarks.generator_speed_paths import Asked, Ours
from resp_agent.generator.released_flow import EPS
from resp_agent.generator.released_flow_settings import ReleasedFlowSettings
from resp_agent.generator.solver import warped_times


class Reference:
    """The plain path with the same weights: one clip at a time, transformers' `generate` over the whole vocabulary,
    torch's multi-head attention, one velocity after the other, explicit Euler steps."""

    def __init__(self, ours: Ours):
        self.planner, self.settings, self.vocoder = ours.planner, ours.flow.settings, ours.vocoder
        with torch.device("meta"):
            self.language_model = Qwen3ForCausalLM(ours.planner.settings.qwen3())
            self.flow = PlainFlow(self.settings)
        self.language_model.model = ours.planner.model
        self.language_model.tie_weights()
        self.flow.load_state_dict(ours.flow.state_dict(), assign=True)
        for part in (self.language_model, self.flow):
            part.eval().requires_grad_(False)

    @torch.inference_mode()
    def plan(self, clip: Asked, sampled: bool = True) -> torch.Tensor:
        """(1, N) units.

        Sampled, all of the vocabulary competes, as in the release; random weights write text, then, which is folded
        into units. Else the likeliest of all units, for comparison.
        """
        embeds, _ = self.planner.prompt_embeds(clip.features[None], [clip.disease])
        first, count = self.planner.first_unit, self.planner.units

        def only_units(_: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
            allowed = torch.full_like(logits, -torch.inf)
            allowed[:, first : first + count] = logits[:, first : first + count]
            return allowed

        tokens = self.language_model.generate(
            inputs_embeds=embeds,
            attention_mask=torch.ones(embeds.shape[:2], dtype=torch.long, device=embeds.device),
            max_new_tokens=len(clip.draws),
            pad_token_id=self.planner.padding,
            logits_processor=LogitsProcessorList([] if sampled else [only_units]),
            **({"do_sample": True, "top_k": 0} if sampled else {"do_sample": False}),
        )
        return (tokens - first) % count

    @torch.inference_mode()
    def render(self, clip: Asked, units: torch.Tensor, steps: int) -> torch.Tensor:
        """(1, M, T) log-mel of (1, N) units."""
        x, features, weight = clip.noise[None], clip.features[None], self.settings.guidance
        nothing = torch.zeros_like(x)
        for now, then in pairwise(warped_times(steps + 1)):
            given, without = (self.flow(x, now, units, features, nothing, told) for told in (True, False))
            x = x + (then - now) * (without + weight * (given - without))
        return x * self.settings.mel_std + self.settings.mel_mean

    @torch.inference_mode()
    def vocode(self, log_mel: torch.Tensor) -> torch.Tensor:
        """(1, samples)."""
        return self.vocoder(log_mel)


class PlainBlock(nn.Module):
    """A block of the released flow, of torch's own parts."""

    def __init__(self, width: int, heads: int, widening: int):
        super().__init__()
        self.normalise = nn.LayerNorm(width, eps=EPS, elementwise_affine=False)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ff = nn.Sequential(
            nn.Linear(width, widening * width), nn.GELU(), nn.Dropout(0.0), nn.Linear(widening * width, width)
        )
        self.time_mlp = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """(B, T, D) frames, (1, D) embedded time -> (B, T, D)."""
        scale, shift, scale2, shift2, gate, gate2 = self.time_mlp(time)[:, None].chunk(6, -1)
        h = self.normalise(x) * (1 + scale) + shift
        x = x + gate * self.attn(h, h, h, need_weights=False)[0]
        return x + gate2 * self.ff(self.normalise(x) * (1 + scale2) + shift2)


class PlainFlow(nn.Module):
    """The released flow, with the names of its weights; one velocity a call, everything computed anew."""

    def __init__(self, settings: ReleasedFlowSettings):
        super().__init__()
        width = settings.width
        self.token_embedding = nn.Embedding(settings.units, settings.unit_width)
        self.input_proj = nn.Linear(2 * settings.mels + settings.unit_width + settings.feature_width, width)
        self.pos_emb = nn.Parameter(torch.empty(settings.positions, width))
        self.time_embed = nn.Sequential(nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, width))
        self.blocks = nn.ModuleList(
            PlainBlock(width, settings.heads, settings.widening) for _ in range(settings.layers)
        )
        self.output_layer = nn.Sequential(nn.LayerNorm(width, eps=EPS), nn.Linear(width, settings.mels))

    def forward(
        self,
        x: torch.Tensor,
        t: float,
        units: torch.Tensor,
        features: torch.Tensor,
        reference_mel: torch.Tensor,
        content: bool,
    ) -> torch.Tensor:
        """(B, M, T) velocity; see `ReleasedFlow.velocity`. Without `content` units and style are withheld."""
        frames, width = x.shape[-1], self.pos_emb.shape[-1]
        embedded = self.token_embedding(units).transpose(1, 2)
        stretched = functional.interpolate(embedded, frames, mode="linear", align_corners=False)
        style = features.mean(1)[..., None].expand(-1, -1, frames)
        given = torch.cat([x, stretched * content, style * content, reference_mel], 1).transpose(1, 2)
        h = self.input_proj(given) + self.pos_emb[:frames]
        angles = t * 10_000.0 ** (-torch.arange(width // 2, device=x.device) / (width // 2))
        time = self.time_embed(torch.cat([angles.cos(), angles.sin()])[None])
        for block in self.blocks:
            h = block(h, time)
        return self.output_layer(h).transpose(1, 2)
