"""What every system of the diagnoser is: a batch in, logits out, and one loss by the settings."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from resp_agent.diagnoser.losses import class_weights, focal_loss, weighted_loss
from resp_agent.settings import DiagnoserSettings


@dataclass
class Batch:
    """What a system reads. Rows are padded at their end; nothing of the padding may reach a result."""

    frames: torch.Tensor
    """(B, T, F) standardised frames of the encoder."""
    frame_lengths: torch.Tensor
    """(B,) real frames; 0 where the audio is withheld."""
    text: torch.Tensor
    """(B, L) token ids."""
    text_lengths: torch.Tensor
    """(B,) real tokens; 0 where the text is withheld."""
    labels: torch.Tensor | None = None
    """(B,) label index."""


class Classifier(nn.Module, ABC):
    """Base of the systems. Called with a batch it gives the mean loss; `logits` is what a system defines."""

    hears = True
    """Whether the system takes audio."""
    reads = True
    """Whether the system takes text."""

    def __init__(self, settings: DiagnoserSettings, counts: tuple[int, ...]):
        """`counts`: (C,) training recordings of each label, for the class-weighted loss."""
        super().__init__()
        self.settings = settings
        self.register_buffer("class_weights", class_weights(counts), persistent=False)

    def forward(self, batch: Batch) -> torch.Tensor:
        """Mean loss of the batch, a scalar."""
        return self.loss(self.logits(batch), batch.labels)

    @abstractmethod
    def logits(self, batch: Batch) -> torch.Tensor:
        """(B, C)."""

    def loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The settings' loss, in fp32."""
        logits = logits.float()
        if self.settings.loss == "class-weighted":
            return weighted_loss(logits, labels, self.class_weights.float())
        if self.settings.loss == "focal":
            return focal_loss(logits, labels, self.settings.focal_gamma)
        return cross_entropy(logits, labels)
