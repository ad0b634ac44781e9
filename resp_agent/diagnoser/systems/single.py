"""Systems of one modality: a branch, and a head on what it makes of a batch."""

import torch
from torch import nn

from resp_agent.diagnoser.classifier import Batch, Classifier, Pooled
from resp_agent.diagnoser.inputs import Inputs
from resp_agent.diagnoser.systems.branches import Branch, ConformerBranch, FrameBranch, LstmBranch
from resp_agent.errors import UserError
from resp_agent.settings import DiagnoserSettings


class TextOnly(Pooled):
    """A branch that reads."""

    hears = False

    def __init__(self, settings: DiagnoserSettings, inputs: Inputs, branch: Branch):
        super().__init__(settings, inputs.counts)
        self.branch, self.pooled_width = branch, branch.width
        self.head = nn.Linear(branch.width, len(inputs.labels))

    def pooled(self, batch: Batch) -> torch.Tensor:
        """(B, D)."""
        return self.branch(batch)


class AudioOnly(Pooled):
    """A branch that hears."""

    reads = False

    def __init__(self, settings: DiagnoserSettings, inputs: Inputs, branch: Branch, head: nn.Module):
        super().__init__(settings, inputs.counts)
        self.branch, self.pooled_width = branch, branch.width
        self.head = head

    def pooled(self, batch: Batch) -> torch.Tensor:
        """(B, D)."""
        return self.branch(batch)


def perceptron(inputs: int, width: int, labels: int) -> nn.Module:
    """The MLP head: one hidden layer."""
    return nn.Sequential(nn.LayerNorm(inputs), nn.Linear(inputs, width), nn.GELU(), nn.Linear(width, labels))


def lstm(settings: DiagnoserSettings, inputs: Inputs) -> Classifier:
    """A bidirectional LSTM on the text."""
    return TextOnly(settings, inputs, LstmBranch(settings, inputs))


def bert(settings: DiagnoserSettings, inputs: Inputs) -> Classifier:
    """BERT on the text."""
    return _text_encoder("bert", settings, inputs)


def roberta(settings: DiagnoserSettings, inputs: Inputs) -> Classifier:
    """RoBERTa on the text."""
    return _text_encoder("roberta", settings, inputs)


def longformer(settings: DiagnoserSettings, inputs: Inputs) -> Classifier:
    """Longformer on the text."""
    from resp_agent.diagnoser.systems.longformer import LongformerBranch

    return TextOnly(settings, inputs, LongformerBranch(settings, inputs))


def conformer(settings: DiagnoserSettings, inputs: Inputs) -> Classifier:
    """A Conformer on the audio."""
    branch = ConformerBranch(settings, inputs)
    return AudioOnly(settings, inputs, branch, nn.Linear(branch.width, len(inputs.labels)))


def whisper(settings: DiagnoserSettings, inputs: Inputs) -> Classifier:
    """An MLP on the pooled features of a frozen Whisper encoder.

    Raises:
        UserError: the settings' encoder is another one.
    """
    if settings.encoder.kind != "whisper":
        raise UserError(
            f"the system whisper classifies Whisper's features, not those of {settings.encoder.kind}: give "
            "--diagnoser.encoder.kind whisper and --diagnoser.encoder.weights"
        )
    branch = FrameBranch(inputs)
    return AudioOnly(settings, inputs, branch, perceptron(branch.width, settings.width, len(inputs.labels)))


def _text_encoder(kind: str, settings: DiagnoserSettings, inputs: Inputs) -> Classifier:
    # Imported when needed: it loads transformers.
    from resp_agent.diagnoser.systems.text_encoders import TextEncoder

    return TextOnly(settings, inputs, TextEncoder(kind, settings, inputs))
