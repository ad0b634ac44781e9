"""Where in the audio a diagnosis comes from: integrated gradients over the frames.

The path runs from the mean that frames are centred on, in every frame, to the recording as it is (Sundararajan, Taly
and Yan 2017, equation 1): that of the training split, or the recording's own (`DiagnoserSettings.centre`). A
recording's logit is the mean over its windows, so what the windows attribute adds up to the difference
of its two logits.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch

from resp_agent.diagnoser.classifier import Batch, Classifier
from resp_agent.diagnoser.inputs import Example, Inputs, View
from resp_agent.training.distributed import on_device

POINTS = 24
"""Points of the path that are looked at."""
ROWS = 24
"""Points that a model hears at once."""


@dataclass(frozen=True)
class Attribution:
    """What each moment of a recording did for a label."""

    seconds: np.ndarray
    """(A + 1,) edges of the moments, from 0 to the end of the recording."""
    values: np.ndarray
    """(A,) how far each moment moved the label's logit; their sum is `logit` - `baseline`."""
    logit: float
    """Of the label, over the recording as it is."""
    baseline: float
    """Of the label, with the mean in place of every frame; the text is read as before."""

    @property
    def relevance(self) -> np.ndarray:
        """(A,) the same over the largest magnitude: -1 to 1, above 0 where a moment speaks for the label."""
        largest = np.abs(self.values).max(initial=0.0)
        return self.values / largest if largest else self.values

    def moments(self, most: int = 3, apart_s: float = 0.3) -> list[tuple[float, float, float]]:
        """(start_s, end_s, relevance) of the moments that speak most for the label, strongest first."""
        found: list[tuple[float, float, float]] = []
        relevance = self.relevance
        for index in np.argsort(-relevance, kind="stable"):
            if len(found) == most or relevance[index] <= 0:
                break
            start, end = float(self.seconds[index]), float(self.seconds[index + 1])
            if all(start >= ended + apart_s or end <= began - apart_s for began, ended, _ in found):
                found.append((start, end, float(relevance[index])))
        return found


def attribute(
    model: Classifier, inputs: Inputs, example: Example, label: int, moment_ms: float, points: int = POINTS
) -> Attribution:
    """What each moment of `moment_ms` did for a label, by its index; the last moment may be shorter.

    The integral is taken by Gauss-Legendre quadrature, which is exact for polynomials of degree 2 x `points` - 1.

    Raises:
        ValueError: the system takes no audio.
    """
    if not model.hears:
        raise ValueError("a system that takes no audio has nothing to attribute to it")
    model.eval()
    views = inputs.windows(example)
    values, logits = np.zeros(len(example.frames)), np.zeros(2)
    for view in views:
        gained, ends = _window(model, inputs, view, label, points)
        values[view.start : view.start + len(gained)] += gained / len(views)
        logits += ends / len(views)
    frames = max(round(moment_ms / inputs.frame_ms), 1)
    starts = np.arange(0, len(values), frames)
    edges = np.append(starts, len(values)) * inputs.frame_ms / 1000
    return Attribution(edges, np.add.reduceat(values, starts), float(logits[1]), float(logits[0]))


def _window(model: Classifier, inputs: Inputs, view: View, label: int, points: int) -> tuple[np.ndarray, np.ndarray]:
    """(T,) attributions of a window's frames; (2,) logits of the label at the start and at the end of the path."""
    one = on_device(inputs.collate([view]), next(model.parameters()).device)
    heard = one.frames[:, : int(one.frame_lengths[0])]
    places, weights = np.polynomial.legendre.leggauss(points)
    places, weights = (torch.tensor(half / 2, device=heard.device) for half in (places + 1, weights))
    total = torch.zeros_like(heard[0], dtype=torch.float64)
    for first in range(0, points, ROWS):
        path = (places[first : first + ROWS, None, None].to(heard.dtype) * heard).requires_grad_()
        logits = model.logits(_repeated(one, path))[:, label]
        gradients = torch.autograd.grad(logits.sum(), path)[0]
        total += (weights[first : first + ROWS, None, None] * gradients.double()).sum(dim=0)
    with torch.inference_mode():
        ends = model.logits(_repeated(one, torch.cat([torch.zeros_like(heard), heard])))[:, label]
    return (total * heard[0].double()).sum(dim=1).cpu().numpy(), ends.double().cpu().numpy()


def _repeated(one: Batch, frames: torch.Tensor) -> Batch:
    """A batch of one row as many times as there are (B, T, F) frames, which take its frames' place."""
    rows = len(frames)
    return replace(
        one,
        frames=frames,
        frame_lengths=one.frame_lengths.expand(rows),
        text=one.text.expand(rows, -1),
        text_lengths=one.text_lengths.expand(rows),
        labels=None,
        synthetic=None,
        alignment_weights=None,
    )
