"""The one training loop."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch

from resp_agent.randomness import seed_of
from resp_agent.settings import TrainingSettings
from resp_agent.training.engine import Engine


class Curriculum(Protocol):
    """What a model is trained on. The batch of a step is a function of the step, so a restart repeats it."""

    def examples(self, step: int) -> Sequence[Any]:
        """The whole batch of a step, over all ranks."""

    def collate(self, examples: Sequence[Any]) -> Any:
        """A model's input from some of those examples."""


def warm_constant(training: TrainingSettings) -> Callable[[int], float]:
    """Learning rate by step: linear warm-up, then constant."""
    return lambda step: training.learning_rate * min(1.0, (step + 1) / max(training.warmup, 1))


def warm_linear(training: TrainingSettings, floor: float = 0.05) -> Callable[[int], float]:
    """Learning rate by step: linear warm-up, then linear decay to `floor` of the peak at the last step."""

    def rate(step: int) -> float:
        left = (training.steps - step) / max(training.steps - training.warmup, 1)
        return training.learning_rate * min((step + 1) / max(training.warmup, 1), max(left, floor), 1.0)

    return rate


def scheduled(training: TrainingSettings) -> Callable[[int], float]:
    """Learning rate by step, by the schedule of the settings."""
    return {"constant": warm_constant, "linear": warm_linear}[training.schedule](training)


def fit(
    engine: Engine,
    curriculum: Curriculum,
    start: int,
    stop: int,
    rate: Callable[[int], float],
    after_step: Callable[[int, float], bool | None] = lambda step, loss: None,
    seed: tuple | None = None,
) -> list[float]:
    """Trains from step `start` to `stop`; each rank sees its share of every batch.

    `after_step(step, loss)` is called with the number of steps done, for progress, checkpoints and validation; where it
    returns True, training ends there. `seed` names the stream that drop-out is drawn from, step by step, so that a
    restart repeats it too; without it the draws are left as they are.

    Returns:
        The losses, one a step, equal on every rank.

    Raises:
        RunFailed: a loss is not finite.
    """
    losses = []
    parts = engine.world * engine.training.accumulation
    for step in range(start, stop):
        examples = curriculum.examples(step)
        size = len(examples) // parts
        own = range(engine.rank * engine.training.accumulation, (engine.rank + 1) * engine.training.accumulation)
        micro_batches = [curriculum.collate(examples[part * size : (part + 1) * size]) for part in own]
        if seed is not None:
            torch.manual_seed(seed_of(*seed, "drop-out", step, engine.rank) % 2**63)
        losses.append(engine.step(micro_batches, rate(step)))
        if after_step(step + 1, losses[-1]):
            break
    return losses
