"""Logits of whole recordings, and the temperature that calibrates them."""

import numpy as np
import torch
from scipy.optimize import minimize_scalar

from resp_agent.diagnoser.classifier import Classifier
from resp_agent.diagnoser.inputs import Example, Inputs
from resp_agent.training.distributed import on_device


@torch.inference_mode()
def score(model: Classifier, inputs: Inputs, examples: list[Example], batch: int = 64) -> np.ndarray:
    """(N, C) logits in float64; a recording of several windows gets their mean.

    Windows are batched by length. The numbers of a recording do not depend on its neighbours beyond rounding.
    """
    model.eval()
    device = next(model.parameters()).device
    views = [(row, view) for row, example in enumerate(examples) for view in inputs.windows(example)]
    views.sort(key=lambda item: min(len(item[1].example.frames) - item[1].start, inputs.window))
    totals, counts = np.zeros((len(examples), len(inputs.labels))), np.zeros(len(examples))
    for first in range(0, len(views), batch):
        part = views[first : first + batch]
        ready = on_device(inputs.collate([view for _, view in part]), device)
        for (row, _), logits in zip(part, model.logits(ready).double().cpu().numpy(), strict=True):
            totals[row] += logits
            counts[row] += 1
    return totals / counts[:, None]


def fit_temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """The temperature that minimises the negative log-likelihood (Guo et al. 2017, section 4.2), in [0.1, 10]."""

    def loss(log_temperature: float) -> float:
        probabilities = softmax(logits, np.exp(log_temperature))
        return -np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-300)).mean()

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.1), np.log(10)), method="bounded").x))


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """(N, C) probabilities of (N, C) logits."""
    scaled = logits / temperature
    exponents = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)
