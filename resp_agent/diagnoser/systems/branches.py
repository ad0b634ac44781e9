"""Branches: what hears or reads a batch and makes one vector of it, for systems of one modality and of late fusion."""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from resp_agent.diagnoser.classifier import Batch
from resp_agent.diagnoser.inputs import Inputs
from resp_agent.diagnoser.systems.pooling import AttentionPooling, masked_mean, real_places
from resp_agent.diagnoser.systems.stems import make_stem
from resp_agent.settings import DiagnoserSettings


class Branch(nn.Module):
    """Called with a batch it gives (B, D)."""

    width: int
    """D."""


class ConformerBranch(Branch):
    """The mean token of a Conformer; 0 where the audio is withheld."""

    def __init__(self, settings: DiagnoserSettings, inputs: Inputs):
        super().__init__()
        self.width = settings.width
        self.stem = make_stem("conformer", settings, inputs, settings.width)

    def forward(self, batch: Batch) -> torch.Tensor:
        frames = batch.frames.to(self.stem.norm.weight.dtype)
        tokens, lengths = self.stem(frames, batch.frame_lengths)
        return masked_mean(tokens, real_places(lengths, tokens.shape[1]))


class FrameBranch(Branch):
    """The encoder's frames as they are, pooled by attention; 0 where the audio is withheld."""

    def __init__(self, inputs: Inputs):
        super().__init__()
        self.width = inputs.width
        self.pooling = AttentionPooling(inputs.width)

    def forward(self, batch: Batch) -> torch.Tensor:
        frames = batch.frames.to(self.pooling.score[0].weight.dtype)
        return self.pooling(frames, real_places(batch.frame_lengths, frames.shape[1]))


class LstmBranch(Branch):
    """The mean state of a bidirectional LSTM over embedded tokens; 0 where the text is withheld."""

    def __init__(self, settings: DiagnoserSettings, inputs: Inputs):
        super().__init__()
        self.width = settings.width
        self.words = nn.Embedding(inputs.words, settings.width)
        self.lstm = nn.LSTM(settings.width, settings.width // 2, settings.layers, batch_first=True, bidirectional=True)

    def forward(self, batch: Batch) -> torch.Tensor:
        words = self.words(batch.text)
        # A packed row holds at least one token; the mean goes by the true lengths.
        lengths = batch.text_lengths.clamp_min(1).cpu()
        packed = pack_padded_sequence(words, lengths, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=words.shape[1])
        return masked_mean(states, real_places(batch.text_lengths, words.shape[1]))
