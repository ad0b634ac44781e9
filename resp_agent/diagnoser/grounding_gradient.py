"""Where a diagnoser that never heard of events looks: the gradient of labels that go with a sound."""

from collections.abc import Sequence

import numpy as np
import torch

from resp_agent.diagnoser.classifier import Classifier
from resp_agent.diagnoser.inputs import Example, Inputs, View
from resp_agent.training.distributed import on_device


def label_weights(inputs: Inputs, labels: Sequence[str], holds: Sequence[bool]) -> np.ndarray:
    """(C,) how much each label speaks for a sound: the share of its recordings that hold it, against the mean label.

    Args:
        labels: of each training recording.
        holds: of each, whether it holds the sound; not when.
    """
    named, holds = np.asarray(labels), np.asarray(holds, float)
    shares = np.array([holds[named == label].mean() if (named == label).any() else 0.0 for label in inputs.labels])
    return shares - shares.mean()


def gradient_relevance(
    model: Classifier, inputs: Inputs, examples: Sequence[Example], weights: np.ndarray, batch: int = 32
) -> list[np.ndarray]:
    """(T,) relevance of each example's frames: gradient of the weighted logits times input, summed over bands.

    (Shrikumar et al. 2017, "Learning important features through propagating activation differences", section 2.)
    The audio is heard without its narrative; where windows overlap the last one counts.
    """
    place = next(model.parameters()).device
    scale = torch.from_numpy(weights).to(place, torch.float32)
    found = [np.zeros(len(example.frames)) for example in examples]
    views = [(at, view) for at, example in enumerate(examples) for view in inputs.windows(example)]
    for first in range(0, len(views), batch):
        part = views[first : first + batch]
        ready = on_device(inputs.collate([View(view.example, view.start, read=False) for _, view in part]), place)
        ready.frames.requires_grad_(True)
        (gradient,) = torch.autograd.grad((model.logits(ready).float() @ scale).sum(), ready.frames)
        shares = (gradient * ready.frames).sum(dim=-1).double().detach().cpu().numpy()
        for (at, view), row, length in zip(part, shares, ready.frame_lengths.tolist(), strict=True):
            found[at][view.start : view.start + length] = row[:length]
    return found
