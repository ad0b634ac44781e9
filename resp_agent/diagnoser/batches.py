"""Which recordings a training step sees: a function of seed and step, so a restart repeats it."""

from dataclasses import dataclass, field

import numpy as np

from resp_agent.diagnoser.alignment import alignment_weights
from resp_agent.diagnoser.classifier import Batch
from resp_agent.diagnoser.inputs import Example, Inputs, View
from resp_agent.randomness import stream
from resp_agent.settings import DiagnoserSettings


@dataclass
class Batches:
    """Real recordings, and a share of synthetic clips once there are any.

    Real ones come epoch by epoch, each in an order of its own; synthetic ones are drawn with replacement.
    """

    inputs: Inputs
    settings: DiagnoserSettings
    seed: tuple
    """Names the stream: (run seed, what is trained, ...)."""
    real: list[Example]
    synthetic: list[Example] = field(default_factory=list)
    synthetic_share: float = 0.5
    hears: bool = True
    """Whether the system takes audio; one that takes audio or text alone is never without it."""
    reads: bool = True
    """Whether it takes text."""

    def examples(self, step: int) -> list[View]:
        """The step's batch, real before synthetic spread evenly, so that every rank gets its share of both."""
        size = self.settings.training.batch
        made = round(size * self.synthetic_share) if self.synthetic else 0
        rng = stream(*self.seed, "step", step)
        chosen = [self.real[index] for index in self._epoch_order(step * (size - made), size - made)]
        chosen += [self.synthetic[index] for index in rng.integers(len(self.synthetic), size=made)] if made else []
        chosen = [chosen[index] for index in rng.permutation(size)]
        weights = alignment_weights([example.synthetic for example in chosen])
        return [self._view(example, weight, rng) for example, weight in zip(chosen, weights, strict=True)]

    def collate(self, views: list[View]) -> Batch:
        """See `Inputs.collate`."""
        return self.inputs.collate(views)

    def _epoch_order(self, first: int, count: int) -> list[int]:
        total = len(self.real)
        order, epoch = [], first // total
        while len(order) < count:
            permutation = stream(*self.seed, "epoch", epoch).permutation(total)
            begin = max(first - epoch * total, 0)
            order += permutation[begin : begin + count - len(order)].tolist()
            epoch += 1
        return order

    def _view(self, example: Example, weight: float, rng: np.random.Generator) -> View:
        spare = len(example.frames) - self.inputs.window
        start = int(rng.integers(spare + 1)) if spare > 0 else 0
        draw = rng.random()
        # A system of one modality never loses it.
        hear = draw >= self.settings.drop_audio or not example.text or not self.reads
        read = draw < 1 - self.settings.drop_text or not self.hears
        return View(example, start, hear, read, weight)
