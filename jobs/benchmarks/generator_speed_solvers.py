"""Which steps of a solver are good enough, measured on a trained flow: error against a fine solution, and FAD."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from jobs.benchmarks.table4_clips import shortened
from jobs.console import Console
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.resolve import resolve_corpus
from resp_agent.corpus.schema import SAMPLE_RATE_HZ, Recording
from resp_agent.curriculum.beacon import Beacon
from resp_agent.curriculum.folders import Folders
from resp_agent.curriculum.request import Request
from resp_agent.errors import RunFailed
from resp_agent.generator.examples import Draw, FlowExamples
from resp_agent.generator.solver import SOLVERS, Velocity, even_times, warped_times
from resp_agent.generator.synthesizer import PlannedGenerator
from resp_agent.generator.training import load_generator, train_generator
from resp_agent.metrics.embeddings import Embedder
from resp_agent.metrics.frechet import frechet_infinity
from resp_agent.randomness import seed_of
from resp_agent.settings import FlowSettings, Settings
from resp_agent.threads import threads
from resp_agent.training.distributed import on_device

FAD_TOLERANCE = 0.05
"""Share by which the FAD of few steps may be above that of many."""
MOST_EVALUATIONS = 20
"""Calls of the velocity up to which as small an error as the reference's is looked for; more would save little."""


@dataclass(frozen=True)
class Steps:
    """A solver, and the moments at which it stops."""

    solver: str
    count: int
    warp: bool

    def __str__(self) -> str:
        return f"{self.count} {'warped' if self.warp else 'even'} {self.solver} step{'s' if self.count > 1 else ''}"

    @property
    def evaluations(self) -> int:
        """Calls of the velocity, guided or not."""
        return self.count * (2 if self.solver == "midpoint" else 1)

    def of(self, flow: FlowSettings, guidance: float | None = None) -> FlowSettings:
        """The settings of a flow with these steps, and with another guidance if one is given."""
        weight = flow.guidance if guidance is None else guidance
        return dataclasses.replace(flow, solver=self.solver, solver_steps=self.count, warp=self.warp, guidance=weight)

    def solve(self, velocity: Velocity, x: torch.Tensor, _: Sequence[float]) -> torch.Tensor:
        """A solver as flows take one; the moments that they would choose give way to these."""
        times = (warped_times if self.warp else even_times)(self.count + 1)
        return SOLVERS[self.solver](velocity, x, times)


REFERENCE = Steps("euler", 31, True)
"""What the release does."""
FINE = Steps("midpoint", 256, False)
"""What errors are measured against: of second order, so that its own error is far below all others."""
AS_EXACT = sorted(
    [
        *(Steps("adams-bashforth", count, False) for count in range(2, MOST_EVALUATIONS + 1)),
        *(Steps("midpoint", count, False) for count in range(1, MOST_EVALUATIONS // 2 + 1)),
    ],
    key=lambda steps: steps.evaluations,
)
"""Where steps as exact as the reference's are looked for, those of fewest evaluations first. None is warped: a path
that begins at a draft is no rougher at its start."""
FEW = (Steps("euler", 1, False), *(Steps("adams-bashforth", count, False) for count in range(2, 9)))
"""Where steps that sound as good are looked for, from the fewest on."""


class Stepped(PlannedGenerator):
    """A trained generator whose flow takes other steps than those of its settings. Its clips' ids do not tell."""

    def take(self, steps: Steps) -> None:
        """From the next request on."""
        chosen = self._settings.generator
        flow = steps.of(chosen.flow)
        self._settings = dataclasses.replace(self._settings, generator=dataclasses.replace(chosen, flow=flow))


@dataclass(frozen=True)
class Chosen:
    """What was found."""

    exact: Steps
    """As few as are no less exact than the reference's."""
    few: Steps
    """As few as have a FAD within `FAD_TOLERANCE` of the reference's."""


def choose_steps(
    settings: Settings, folders: Folders, embedder: Embedder, guidance: float, per_cell: int, console: Console
) -> Chosen:
    """Tries steps on the generator of the settings, which is trained unless it is there.

    Errors are measured without and with the guidance that will be timed; the steps chosen are good enough for both.

    Raises:
        RunFailed: no steps are good enough.
    """
    corpus = resolve_corpus(settings, folders.corpus(settings), every_label=False)
    train, folder = corpus.split("train"), folders.generator(settings, corpus)
    with threads(settings.threads):
        console.say(f"trained {settings.preset} flow: {folder}")
        with console.watching(folders.progress):
            train_generator(settings, train, folder, Beacon(folders.progress, "generator-0"))
        weights = tuple(sorted({settings.generator.flow.guidance, guidance}))
        exact = as_exact(error_measure(settings, train, folder), weights, console)
        console.say(f"FAD of {per_cell} clips of each label and style, {embedder.name}:")
        few = as_good(fad_measure(settings, corpus, train, folder, embedder, per_cell), console)
    return Chosen(exact, few)


def as_exact(error: Callable[[Steps, float], float], weights: Sequence[float], console: Console) -> Steps:
    """The first of `AS_EXACT` whose error is at most that of the reference's steps, at each weight of guidance.

    Raises:
        RunFailed: there is none.
    """
    allowed = [error(REFERENCE, weight) for weight in weights]
    told = " and ".join(f"{weight:g}" for weight in weights)
    console.say(f"relative L2 to {FINE}, guidance {told}: {REFERENCE} {_listed(allowed)}")
    for steps in AS_EXACT:
        found = [error(steps, weight) for weight in weights]
        console.say(f"  {steps} {_listed(found)}")
        if all(one <= most for one, most in zip(found, allowed, strict=True)):
            return steps
    raise RunFailed(
        f"with {MOST_EVALUATIONS} evaluations no solver is as exact as {REFERENCE}: the flow is too rough, "
        "train it for more steps"
    )


def as_good(fad: Callable[[Steps], float], console: Console) -> Steps:
    """The first of `FEW` whose FAD is within `FAD_TOLERANCE` of that of the reference's steps, or below it.

    Raises:
        RunFailed: there is none.
    """
    long = fad(REFERENCE)
    console.say(f"  {REFERENCE} {long:.4g}")
    for steps in FEW:
        found = fad(steps)
        console.say(f"  {steps} {found:.4g}")
        if found <= long + FAD_TOLERANCE * abs(long):
            return steps
    raise RunFailed(
        f"no {FEW[-1].count} steps or fewer have a FAD within {FAD_TOLERANCE:.0%} of that of {REFERENCE}: "
        "measure it on more clips"
    )


def error_measure(settings: Settings, train: list[Recording], folder: Path) -> Callable[[Steps, float], float]:
    """(steps, guidance) -> relative L2 distance of what the flow makes from the fine solution, on a batch of drafts."""
    models = load_generator(settings, folder, train)
    examples = FlowExamples(settings, models.material, models.codebook, models.tokens, Draw(models.material))
    where, flow = next(models.flow.parameters()).device, settings.generator.flow
    batch = on_device(examples.collate(examples.examples(0)), where)
    fine: dict[float, torch.Tensor] = {}

    def solved(steps: Steps, guidance: float) -> torch.Tensor:
        made = models.flow.sample(batch.draft, batch.style, batch.noise, steps.of(flow, guidance))
        return made[batch.mask].double()

    def error(steps: Steps, guidance: float) -> float:
        if guidance not in fine:
            fine[guidance] = solved(FINE, guidance)
        return float((solved(steps, guidance) - fine[guidance]).norm() / fine[guidance].norm())

    return error


def fad_measure(
    settings: Settings, corpus: Corpus, train: list[Recording], folder: Path, embedder: Embedder, per_cell: int
) -> Callable[[Steps], float]:
    """Steps -> FAD to the test split of clips of all its labels and styles; the same requests, so the same contents,
    references and noise, whatever the steps."""
    held = shortened(corpus.split("test"), round(settings.audio.clip_s * SAMPLE_RATE_HZ))
    known = [one for one in held if one.label in corpus.labels and one.style in corpus.styles]
    real, generator = embedder(one.waveform for one in known), Stepped(settings, train, folder)
    requests = [
        Request(label, style, per_cell, seed_of(settings.seed, "speed", label, style), "exemplar")
        for label, style in sorted({(one.label, one.style) for one in known})
    ]

    def fad(steps: Steps) -> float:
        generator.take(steps)
        clips = (clip.waveform for request in requests for clip in generator.synthesize(request))
        return frechet_infinity(embedder(clips), real, settings.seed).distance

    return fad


def _listed(errors: Sequence[float]) -> str:
    return " and ".join(f"{error:.2e}" for error in errors)
