"""Systems of late fusion: audio and text meet in their last vectors, or in their votes."""

import torch
from torch import nn

from resp_agent.diagnoser.classifier import Batch, Classifier, Pooled
from resp_agent.diagnoser.inputs import Inputs
from resp_agent.diagnoser.systems.branches import Branch, ConformerBranch, LstmBranch
from resp_agent.diagnoser.systems.single import perceptron
from resp_agent.diagnoser.systems.text_encoders import TextEncoder
from resp_agent.settings import DiagnoserSettings


class Concatenated(Pooled):
    """The vectors of a branch that hears and of one that reads, side by side, through an MLP."""

    def __init__(self, settings: DiagnoserSettings, inputs: Inputs, audio: Branch, text: Branch):
        super().__init__(settings, inputs.counts)
        self.audio, self.text = audio, text
        self.pooled_width = audio.width + text.width
        self.head = perceptron(self.pooled_width, settings.width, len(inputs.labels))

    def pooled(self, batch: Batch) -> torch.Tensor:
        """(B, D): both vectors."""
        return torch.cat([self.audio(batch), self.text(batch)], dim=-1)


class Voting(Classifier):
    """A branch that hears and one that reads, each with a head and a loss of its own; their logits are averaged."""

    def __init__(self, settings: DiagnoserSettings, inputs: Inputs, audio: Branch, text: Branch):
        super().__init__(settings, inputs.counts)
        self.audio, self.text = audio, text
        self.audio_head = nn.Linear(audio.width, len(inputs.labels))
        self.text_head = nn.Linear(text.width, len(inputs.labels))

    def votes(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, C) logits of the branch that hears, and of the one that reads."""
        return self.audio_head(self.audio(batch)), self.text_head(self.text(batch))

    def logits(self, batch: Batch) -> torch.Tensor:
        """(B, C), the mean of the votes."""
        return torch.stack(self.votes(batch)).mean(dim=0)

    def forward(self, batch: Batch) -> torch.Tensor:
        """The mean of the branches' losses, a scalar."""
        return torch.stack([self.loss(vote, batch.labels) for vote in self.votes(batch)]).mean()


def conformer_lstm(settings: DiagnoserSettings, inputs: Inputs) -> Classifier:
    """Conformer and LSTM, concatenated."""
    return Concatenated(settings, inputs, ConformerBranch(settings, inputs), LstmBranch(settings, inputs))


def conformer_bert(settings: DiagnoserSettings, inputs: Inputs) -> Classifier:
    """Conformer and BERT, concatenated."""
    return Concatenated(settings, inputs, ConformerBranch(settings, inputs), TextEncoder("bert", settings, inputs))


def conformer_bert_voting(settings: DiagnoserSettings, inputs: Inputs) -> Classifier:
    """Conformer and BERT, each on its own, voting."""
    return Voting(settings, inputs, ConformerBranch(settings, inputs), TextEncoder("bert", settings, inputs))
