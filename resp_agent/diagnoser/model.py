"""The weaving diagnoser."""

import math
from dataclasses import dataclass

import torch
from torch import nn

from resp_agent.diagnoser.attention import WovenAttention, allowed_keys
from resp_agent.diagnoser.weaving import CLS, DESCRIPTION, Weave, weave
from resp_agent.settings import AudioSettings, DiagnoserSettings


@dataclass
class Batch:
    """What the diagnoser reads."""

    patches: torch.Tensor
    """(B, T, M) standardised log-mel patches."""
    patch_lengths: torch.Tensor
    """(B,) real patches; 0 where the audio is withheld."""
    text: torch.Tensor
    """(B, L) word ids."""
    text_lengths: torch.Tensor
    """(B,) real words; 0 where the narrative is withheld."""
    labels: torch.Tensor | None = None
    """(B,) label index."""


class AudioTokens(nn.Module):
    """(B, T, M) patches to (B, ceil(T / stride), D) tokens: two convolutions over time, padding kept at zero."""

    def __init__(self, mels: int, width: int, stride: int):
        super().__init__()
        self.stride = stride
        self.first = nn.Conv1d(mels, width, 5, padding=2)
        self.second = nn.Conv1d(width, width, 5, stride=stride, padding=2)

    def forward(self, patches: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        real = (torch.arange(patches.shape[1], device=patches.device)[None] < lengths[:, None]).to(patches.dtype)
        x = nn.functional.gelu(self.first((patches * real[..., None]).transpose(1, 2))) * real[:, None]
        return nn.functional.gelu(self.second(x)).transpose(1, 2), -(-lengths // self.stride)


class Block(nn.Module):
    """A pre-norm transformer layer with woven attention."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = WovenAttention(width, heads)
        self.feedforward_norm = nn.LayerNorm(width)
        self.feedforward = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: torch.Tensor, allowed: torch.Tensor, layout: Weave) -> torch.Tensor:
        x = x + self.attention(self.attention_norm(x), allowed, layout.real, layout.global_index)
        return x + self.feedforward(self.feedforward_norm(x))


class Diagnoser(nn.Module):
    """Narrative and audio to a label. Called with a batch it gives the mean cross-entropy; see `logits`."""

    def __init__(self, settings: DiagnoserSettings, audio: AudioSettings, words: int, labels: int):
        super().__init__()
        width = settings.width
        self.settings = settings
        self.anchor = round(settings.anchor_ms / settings.token_ms)
        self.reach = max(1, round(settings.window_ms / settings.token_ms / 2))
        self.audio = AudioTokens(audio.mels, width, round(settings.token_ms / audio.hop_ms))
        self.words = nn.Embedding(words, width)
        self.special = nn.Embedding(3, width)
        self.text_position = nn.Embedding(settings.text_tokens, width)
        self.modality = nn.Embedding(2, width)
        self.blocks = nn.ModuleList(Block(width, settings.heads) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(2 * width, labels)
        for table in (self.words, self.special, self.text_position, self.modality):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, batch: Batch) -> torch.Tensor:
        """Mean cross-entropy of the batch, a scalar."""
        return nn.functional.cross_entropy(self.logits(batch).float(), batch.labels)

    def logits(self, batch: Batch) -> torch.Tensor:
        """(B, C) from the state of `[CLS]` and the mean state of the audio tokens."""
        dtype = self.head.weight.dtype
        tokens, audio_lengths = self.audio(batch.patches.to(dtype), batch.patch_lengths)
        layout = weave(batch.text_lengths, audio_lengths, batch.text.shape[1], tokens.shape[1], self.anchor)
        x = self._embed(batch.text, tokens)
        allowed = allowed_keys(layout.position, layout.real, layout.is_global, self.reach)
        for block in self.blocks:
            x = block(x, allowed, layout)
        x = self.norm(x)
        real = layout.real[:, layout.audio, None].to(dtype)
        pooled = (x[:, layout.audio] * real).sum(dim=1) / real.sum(dim=1).clamp_min(1)
        return self.head(torch.cat([x[:, CLS], pooled], dim=-1))

    def _embed(self, text: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        rows, length = text.shape
        special = self.special.weight[None].expand(rows, -1, -1)
        described = self.words(text) + self.text_position.weight[:length] + self.modality.weight[0]
        heard = tokens + _sinusoids(tokens.shape[1], tokens.shape[2]).to(tokens) + self.modality.weight[1]
        return torch.cat([special[:, CLS : DESCRIPTION + 1], described, heard, special[:, 2:]], dim=1)


def _sinusoids(length: int, width: int) -> torch.Tensor:
    """(length, width) fixed positions (Vaswani et al. 2017, section 3.5), scaled to the size of the embeddings."""
    rates = torch.exp(-math.log(10_000.0) * torch.arange(0, width, 2) / width)
    angles = torch.arange(length)[:, None] * rates
    return 0.1 * torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :width]
