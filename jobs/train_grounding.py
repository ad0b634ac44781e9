"""Trains a grounder: where in a recording a phrase is heard, learned from the events that a corpus marks."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from jobs.console import Console
from jobs.exits import run_job
from jobs.options import Flat, refuse_disposable, value_of
from jobs.submitted import refuse_relative
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.resolve import find_corpus
from resp_agent.curriculum.folders import Folders
from resp_agent.diagnoser.grounding import Grounding
from resp_agent.diagnoser.grounding_training import GroundingLearner, settings_of
from resp_agent.diagnoser.stored import find_diagnoser
from resp_agent.encoders.cache import FeatureCache, open_cache
from resp_agent.settings import Settings, preset
from resp_agent.settings.grounding import GroundingSettings
from resp_agent.storage import local, shown
from resp_agent.threads import set_threads

MODEL = "model"
TELL_EVERY = 50
"""Steps between lines about the loss."""


@dataclass(frozen=True)
class GroundingTraining:
    """Trains a grounder on the events of the training split. A training that was killed goes on by the same command,
    and comes to the same weights."""

    out: str | None = None
    """Where the grounder goes; by default runs/grounding-<seed>."""
    diagnoser: str | None = None
    """A trained diagnoser to start from, whose audio and sizes are taken; by default random weights."""
    first: str | None = None
    """Where built corpora and features are kept and found again; by default in the folder itself."""
    settings: Annotated[Settings, Flat] = field(default_factory=Settings)
    grounding: GroundingSettings = field(default_factory=GroundingSettings)

    resume = None
    """No flag: the same command goes on."""

    @property
    def folder(self) -> Path:
        """Where everything goes."""
        return local(self.out or f"runs/grounding-{self.settings.seed}")


def parse(argv: list[str] | None) -> GroundingTraining:
    """A job from the command line: the preset gives what no flag names.

    Raises:
        UserError: a value is none that a job can have, or a submitted job names places that go away with it.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    default = GroundingTraining(settings=preset(value_of("--preset", argv) or "tiny"))
    config = (tyro.conf.OmitSubcommandPrefixes,)
    job = tyro.cli(GroundingTraining, args=argv, default=default, prog="resp-agent train grounding", config=config)
    check_places(job)
    return job


def train(job: GroundingTraining, console: Console) -> Grounding:
    """Trains, or goes on with it, and says where the grounder is.

    Raises:
        UserError: something given cannot be used.
        RunFailed: the training cannot go on; its last checkpoint is kept.
    """
    settings, folders, diagnoser = prepare(job)
    corpus = find_corpus(settings, folders.corpus(job.settings))
    console.say(f"corpus of {corpus.describe()}")
    cache = open_cache(folders.features, settings.diagnoser.encoder, settings.audio)
    grounding = learn(job, settings, corpus, cache, diagnoser, console)
    console.say(f"ask it: resp-agent ground FILE --phrase '{grounding.taught[0]}' --model {shown(job.folder)}")
    return grounding


def prepare(job: Any) -> tuple[Settings, Folders, Path | None]:
    """The settings in force, the folders, and the folder of the diagnoser to start from, of a job with those flags."""
    diagnoser = find_diagnoser(local(job.diagnoser)) if job.diagnoser else None
    settings = settings_of(job.settings, diagnoser)
    set_threads(settings.threads)
    return settings, Folders.of(job.folder, job.first), diagnoser


def learn(
    job: Any, settings: Settings, corpus: Corpus, cache: FeatureCache, diagnoser: Path | None, console: Console
) -> Grounding:
    """The grounder of a job's folder, trained into `model` unless it is there."""
    steps, losses = job.grounding.training.steps, []

    def told(news: dict) -> None:
        losses.append(news["loss"])
        if news["step"] % TELL_EVERY == 0 or news["step"] == steps:
            console.say(f"step {news['step']} of {steps}, loss {sum(losses) / len(losses):.3f}")
            losses.clear()

    learner = GroundingLearner(settings, job.grounding, corpus, cache, diagnoser)
    console.say(f"learning where there are {', '.join(learner.taught)}")
    grounding = learner.train(job.folder / MODEL, told)
    console.say(f"model {shown((job.folder / MODEL).resolve())}")
    return grounding


def check_places(job: Any) -> None:
    """Raises UserError where a submitted job names places that go away with it."""
    refuse_disposable(job, job.first)
    if job.diagnoser:
        refuse_relative("--diagnoser", job.diagnoser)


def main(argv: Sequence[str] | None = None) -> int:
    """`resp-agent train grounding` and `python -m jobs.train_grounding`; returns the exit code."""
    return run_job(lambda words: train(parse(words), Console()) and 0, argv)


if __name__ == "__main__":
    sys.exit(main())
