"""What every system of the diagnoser is: a batch in, logits out, and one loss by the settings."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from resp_agent.diagnoser.alignment import LEARNS, Adversary
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
    synthetic: torch.Tensor | None = None
    """(B,) bool: which rows are clips and no recordings."""
    alignment_weights: torch.Tensor | None = None
    """(B,) weight of each row in telling the two apart; see `alignment.alignment_weights`."""


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


class Pooled(Classifier):
    """Base of the systems whose answer is read from one vector, in which real and synthetic can be aligned."""

    head: nn.Module
    """(B, D) to (B, C)."""
    pooled_width: int
    """D."""

    def __init__(self, settings: DiagnoserSettings, counts: tuple[int, ...]):
        super().__init__(settings, counts)
        self.register_module("adversary", None)

    @abstractmethod
    def pooled(self, batch: Batch) -> torch.Tensor:
        """(B, D), what the head reads."""

    def logits(self, batch: Batch) -> torch.Tensor:
        """(B, C)."""
        return self.head(self.pooled(batch))

    def align(self, seed: int) -> None:
        """Adds the adversary that the settings' alignment is the weight of; it takes no part in `logits`.

        Args:
            seed: of its weights.
        """
        self.adversary = Adversary(self.pooled_width, self.settings.width, self.settings.alignment, seed)

    def forward(self, batch: Batch) -> torch.Tensor:
        """Mean loss of the classification, a scalar; where there is an adversary, with the gradient of its loss too."""
        pooled = self.pooled(batch)
        loss = self.loss(self.head(pooled), batch.labels)
        if self.adversary is None:
            return loss
        told = self.adversary(pooled, batch.synthetic, batch.alignment_weights)
        # Adds 0 to what is reported, which stays comparable, and a gradient to what is learned.
        return loss + (told - told.detach())

    def parameter_groups(self) -> list[dict]:
        """Parameters as `Engine` takes them: an adversary learns in a way of its own."""
        if self.adversary is None:
            return [{"params": list(self.parameters())}]
        others = [each for name, each in self.named_parameters() if not name.startswith("adversary.")]
        return [{"params": others}, {"params": list(self.adversary.parameters())} | LEARNS]
