"""Hardness: which way a clip would have to change to leave the diagnoser less sure what it hears.

The learner's entropy as guidance of a sampler: Askari-Hemmat et al. 2025, "Improving the scaling laws of synthetic data
with deliberate practice", arXiv 2502.15588.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from resp_agent.diagnoser.classifier import Classifier
from resp_agent.diagnoser.inputs import Example, Inputs, View
from resp_agent.diagnoser.stored import load_diagnoser
from resp_agent.errors import UserError
from resp_agent.generator.flow import Tokens
from resp_agent.generator.style import Style
from resp_agent.settings import Settings
from resp_agent.training.checkpoints import verify
from resp_agent.training.distributed import device


class Listener:
    """A diagnoser that hears log-mels while they are made."""

    def __init__(self, model: Classifier, inputs: Inputs):
        self._model, self._inputs = model.requires_grad_(False).eval(), inputs
        where = next(model.parameters()).device
        self._mean, self._deviation = (
            torch.tensor(values, dtype=torch.float32, device=where) for values in (inputs.mean, inputs.deviation)
        )

    @classmethod
    def open(cls, folder: Path, digests: dict[str, str], settings: Settings) -> "Listener":
        """The averaged diagnoser of a checkpoint, on this process's device.

        Raises:
            UserError: it hears through a pretrained encoder, which says nothing of a log-mel.
            CorruptCheckpoint: the checkpoint is not what was written.
        """
        if settings.diagnoser.encoder.kind != "log-mel":
            raise UserError(
                f"hardness needs a diagnoser that hears log-mel, and this one hears {settings.diagnoser.encoder.kind}: "
                "ask for a hardness of 0, or train it with --diagnoser.encoder.kind log-mel"
            )
        verify(folder, digests)
        model, inputs, _ = load_diagnoser(folder, settings)
        return cls(model.to(device()), inputs)

    def entropy(self, log_mels: torch.Tensor) -> torch.Tensor:
        """(B,) nats of entropy of the labels, given (B, T, M) log-mel without a narrative.

        Longer audio is heard in windows, whose logits are averaged as in diagnosis.
        """
        windows = log_mels.split(self._inputs.window, 1)
        logits = torch.stack([self._logits(window) for window in windows]).mean(0)
        logs = logits.float().log_softmax(1)
        return -(logs.exp() * logs).sum(1)

    def direction(self, log_mels: torch.Tensor) -> torch.Tensor:
        """(B, T, M) gradient of the entropy."""
        with torch.enable_grad():
            heard = log_mels.detach().requires_grad_(True)
            return torch.autograd.grad(self.entropy(heard).sum(), heard)[0]

    def _logits(self, log_mels: torch.Tensor) -> torch.Tensor:
        count, frames = log_mels.shape[:2]
        # A row of silence says how a text that is withheld looks; its frames are then replaced.
        silent = Example("", torch.zeros(frames, self._inputs.width).numpy(), (), -1, -1)
        batch = self._inputs.collate([View(silent, read=False)] * count)
        where = log_mels.device
        centre = self._mean if self._inputs.centre == "corpus" else log_mels.mean(1, keepdim=True)
        return self._model.logits(
            replace(
                batch,
                frames=(log_mels - centre) / self._deviation,
                frame_lengths=batch.frame_lengths.to(where),
                text=batch.text.to(where),
                text_lengths=batch.text_lengths.to(where),
                labels=None,
            )
        )


@dataclass(frozen=True)
class Pull:
    """What is added to a flow's velocity so that a diagnoser becomes less sure: see `Flow.sample`."""

    listener: Listener
    tokens: Tokens
    drafts: torch.Tensor
    """(B, T, M) style-normalised drafts of the clips."""
    style: Style
    strength: float
    """Standard deviations of a token, on average over a clip, by which its velocity is changed."""

    def __call__(self, estimate: torch.Tensor) -> torch.Tensor:
        """(B, S, D) tokens, as the clean clip is estimated, to the (B, S, D) change of velocity.

        The direction is the gradient of the entropy, brought to the same size for every clip: where a diagnoser is
        sure, its entropy is flat and would else be left alone.
        """
        numbers = (self.tokens.basis, self.tokens.scale, self.style.mean, self.style.sd)
        basis, scale, mean, sd = (torch.from_numpy(one).to(estimate.device) for one in numbers)
        batch, length, _ = estimate.shape
        own = torch.from_numpy(np.stack([self.tokens.encode(one) for one in self.drafts.cpu().numpy()])).to(estimate)
        moved = (((estimate - own) * scale) @ basis).reshape(batch, -1, len(mean))[:, : self.drafts.shape[1]]
        towards = self.listener.direction((self.drafts + moved) * sd + mean) * sd
        padded = functional.pad(towards, (0, 0, 0, length * basis.shape[1] // len(mean) - towards.shape[1]))
        gradient = (padded.reshape(batch, length, -1) @ basis.T) * scale
        size = gradient.square().mean((1, 2), keepdim=True).sqrt()
        return self.strength * gradient / size.clamp_min(1e-12)
