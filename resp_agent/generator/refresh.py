"""Refreshing the generator within an episode: it goes on training on what the diagnoser is weak on."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from resp_agent.curriculum.assessment import Assessment
from resp_agent.curriculum.beacon import Beacon
from resp_agent.diagnoser.learner import Checkpoint
from resp_agent.generator.examples import Draw
from resp_agent.generator.language_planner import LanguagePlanner
from resp_agent.generator.material import Material
from resp_agent.generator.synthesizer import PlannedGenerator
from resp_agent.generator.training import networks, train_parts, write_parts
from resp_agent.randomness import seed_of
from resp_agent.settings import Settings, TrainingSettings, fingerprint
from resp_agent.training.checkpoints import digests, read_progress

FLOOR = 0.2
"""Share of examples that are drawn as in the first training, so that nothing is forgotten."""
WARMUP = 0.2
"""Largest share of a refresh's steps in which the learning rate rises: the first training's warm-up may be longer than
all of it."""


@dataclass(frozen=True)
class Refresh:
    """What a generator is to learn, and from where. Complete in itself: any worker can do it, at first or again."""

    seed: int
    """The episode's."""
    round: int
    """After which it happens."""
    weakness: dict[tuple[str, str], float]
    """0 to 1 of every label in every style."""
    start: Checkpoint | None
    """The generator in force; None: the first-trained one."""
    save_to: str


def weakness_of(assessment: Assessment) -> dict[tuple[str, str], float]:
    """1 - F1 of every (label, style); see `Assessment.by_cell`. A label that the split does not hold is all weak."""
    f1 = assessment.by_cell()["f1"]
    return {
        (label, style): 1 - float(f1[row, column])
        for row, label in enumerate(assessment.labels)
        for column, style in enumerate(assessment.styles)
    }


class WeakDraw:
    """Draws recordings as `Draw` does, but in proportion to how weak the diagnoser is on their cells."""

    def __init__(self, material: Material, weakness: dict[tuple[str, str], float]):
        first = Draw(material).chances
        weak = first * [weakness[one.label, one.style] for one in material.recordings]
        if not weak.any():
            weak = first
        self.chances = (1 - FLOOR) * weak / weak.sum() + FLOOR * first
        """(N,) probability of each recording."""
        self._until = self.chances.cumsum()

    def __call__(self, rng: np.random.Generator) -> int:
        """The index of a recording."""
        return int(np.searchsorted(self._until, rng.random() * self._until[-1], side="right"))


def refresh_generator(
    settings: Settings, generator: PlannedGenerator, refresh: Refresh, progress: Beacon | None = None
) -> Checkpoint:
    """Trains the flow of a generator, and its planner if it has one, `settings.curriculum.refresh_steps` steps each.

    They start from the weights that `generator` has, which stay as they are. Optimizer and moving average begin anew,
    and the learning rate rises and falls as in a first training of so many steps. The refreshed generator is named by
    where it comes from and what it was to learn. It is whole in `refresh.save_to` or not there; one that is there is
    used as it is. A refresh that was killed goes on from its last checkpoint and ends with the same bits.

    Raises:
        RunFailed: a loss is not finite.
    """
    folder, steps = Path(refresh.save_to), settings.curriculum.refresh_steps
    learned = sorted((*cell, weak) for cell, weak in refresh.weakness.items())
    name = fingerprint(generator.fingerprint, refresh.seed, refresh.round, steps, learned)
    stored = read_progress(folder)
    if stored and stored["fingerprint"] == name:
        return Checkpoint(str(folder), digests(folder))
    told = _telling(progress, refresh.round)
    told("preparing")
    chosen, old = _shortened(settings, refresh), generator.models
    planner, flow = networks(chosen, old.tokens, old.vocabulary)
    flow.load_state_dict(old.flow.state_dict())
    if planner is not None:
        planner.load_state_dict(old.planner.state_dict())
    if isinstance(planner, LanguagePlanner):
        torch.manual_seed(seed_of(chosen.seed, "adapters") % 2**63)
        planner.adapt()
    models = replace(old, planner=planner, flow=flow)
    weights = train_parts(chosen, models, WeakDraw(old.material, refresh.weakness), folder, name, told)
    told("saving")
    return Checkpoint(str(folder), write_parts(weights, folder, name))


def _telling(progress: Beacon | None, number: int):
    def told(phase: str, **where: int) -> None:
        if progress:
            progress.at(f"refreshing generator: {phase}", round=number, **where)

    return told


def _shortened(settings: Settings, refresh: Refresh) -> Settings:
    """The settings of a first training that is as long as the refresh, and draws from a seed of its own."""
    steps, generator = settings.curriculum.refresh_steps, settings.generator

    def short(training: TrainingSettings) -> TrainingSettings:
        return replace(training, steps=steps, warmup=min(training.warmup, round(WARMUP * steps)))

    return replace(
        settings,
        seed=seed_of(settings.seed, refresh.seed, "refresh", refresh.round),
        generator=replace(
            generator,
            planner=replace(generator.planner, training=short(generator.planner.training)),
            flow=replace(generator.flow, training=short(generator.flow.training)),
        ),
    )
