"""The weaving diagnoser, learned from scratch: narrative and audio in one sequence."""

import math

import torch
from torch import nn

from resp_agent.diagnoser.attention import WovenAttention
from resp_agent.diagnoser.attention_pattern import Pattern
from resp_agent.diagnoser.classifier import Batch, Classifier, Pooled
from resp_agent.diagnoser.inputs import Inputs
from resp_agent.diagnoser.systems.stems import make_stem
from resp_agent.diagnoser.weaving import CLS, DESCRIPTION, Weave, weave
from resp_agent.settings import DiagnoserSettings


class Block(nn.Module):
    """A pre-norm transformer layer with woven attention."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = WovenAttention(width, heads)
        self.feedforward_norm = nn.LayerNorm(width)
        self.feedforward = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: torch.Tensor, pattern: Pattern) -> torch.Tensor:
        x = x + self.attention(self.attention_norm(x), pattern)
        return x + self.feedforward(self.feedforward_norm(x))


class Weaving(Pooled):
    """Narrative and audio to a label through one woven sequence."""

    def __init__(self, settings: DiagnoserSettings, inputs: Inputs):
        super().__init__(settings, inputs.counts)
        width = settings.width
        self.anchor = round(settings.anchor_ms / settings.token_ms) if settings.anchors else 0
        self.reach = max(1, round(settings.window_ms / settings.token_ms / 2))
        self.audio = make_stem(settings.audio_stem, settings, inputs, width)
        self.words = nn.Embedding(inputs.words, width)
        self.special = nn.Embedding(3, width)
        self.text_position = nn.Embedding(settings.text_tokens, width)
        self.modality = nn.Embedding(2, width)
        self.blocks = nn.ModuleList(Block(width, settings.heads) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(width)
        self.pooled_width = 2 * width
        self.head = nn.Linear(2 * width, len(inputs.labels))
        for table in (self.words, self.special, self.text_position, self.modality):
            nn.init.normal_(table.weight, std=0.02)

    def pooled(self, batch: Batch) -> torch.Tensor:
        """(B, 2D): the state of `[CLS]` and the mean state of the audio tokens."""
        x, layout = self.states(batch)
        heard = layout.is_audio[..., None].to(x.dtype)
        mean = (x * heard).sum(dim=1) / heard.sum(dim=1).clamp_min(1)
        return torch.cat([x[:, CLS], mean], dim=-1)

    def states(self, batch: Batch) -> tuple[torch.Tensor, Weave]:
        """(B, S, D) states of the woven sequence after the last layer, and where everything lies in it."""
        tokens, audio_lengths = self.audio(batch.frames.to(self.special.weight.dtype), batch.frame_lengths)
        layout = weave(batch.text_lengths, audio_lengths, batch.text.shape[1], tokens.shape[1], self.anchor)
        x = layout.pack(self._embed(batch.text, tokens))
        pattern = Pattern(layout.real, layout.is_global, self.reach)
        for block in self.blocks:
            x = block(x, pattern)
        return self.norm(x), layout

    def _embed(self, text: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        rows, length = text.shape
        special = self.special.weight[None].expand(rows, -1, -1)
        described = self.words(text) + self.text_position.weight[:length] + self.modality.weight[0]
        heard = tokens + _sinusoids(tokens.shape[1], tokens.shape[2]).to(tokens) + self.modality.weight[1]
        return torch.cat([special[:, CLS : DESCRIPTION + 1], described, heard, special[:, 2:]], dim=1)


def weaving(settings: DiagnoserSettings, inputs: Inputs) -> Classifier:
    """The weaving system of the settings: learned from scratch, or on a pretrained text model."""
    if settings.text_model is None:
        return Weaving(settings, inputs)
    # Imported when needed: it loads transformers.
    from resp_agent.diagnoser.woven_longformer import WovenLongformer

    return WovenLongformer(settings, inputs)


def _sinusoids(length: int, width: int) -> torch.Tensor:
    """(length, width) fixed positions (Vaswani et al. 2017, section 3.5), scaled to the size of the embeddings."""
    rates = torch.exp(-math.log(10_000.0) * torch.arange(0, width, 2) / width)
    angles = torch.arange(length)[:, None] * rates
    return 0.1 * torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :width]
