"""Trains a generator: ranks on Ray Train, or one in this process, and a look at what it came to."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from jobs.console import Console
from jobs.exits import run_job
from jobs.ranked import RankedTraining, completed, open_training, parse, prepare
from jobs.training_log import PartsLog
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.schema import Recording
from resp_agent.curriculum.beacon import Beacon
from resp_agent.curriculum.folders import Folders
from resp_agent.curriculum.journal import BOARD
from resp_agent.curriculum.request import Request
from resp_agent.generator.synthesizer import Generator, make_generator
from resp_agent.generator.training import is_trained, train_generator
from resp_agent.randomness import seed_of
from resp_agent.report.pairs import kind_of
from resp_agent.report.sound_grid import MOST_LABELS, MOST_STYLES, grid_figure
from resp_agent.report.style import LIGHT
from resp_agent.settings.checks import refuse
from resp_agent.storage import shown
from resp_agent.threads import set_threads

CLIPS = "figures/clips-by-label-and-style.png"


@dataclass(frozen=True)
class GeneratorTraining(RankedTraining):
    """Trains a generator on the training split of a corpus: styles, units, the flow and, where they are asked for, the
    planner and a Vocos; and draws a clip of each label in each style beside real recordings. Clips of it:
    `resp-agent synthesize`."""

    WHAT = "generator"

    def __post_init__(self):
        generator = self.settings.generator
        refuse(
            generator.kind != "trained",
            f"the generator {generator.kind} learns nothing: leave out --generator.kind, or --generator",
        )
        parts = {"--generator.flow.training": generator.flow.training}
        if generator.content == "planned":
            parts["--generator.planner.training"] = generator.planner.training
        if generator.vocoder.kind == "vocos" and generator.vocoder.trained is None:
            parts["--generator.vocoder.training"] = generator.vocoder.training
        self.refuse_ranks(parts)


def train(job: GeneratorTraining) -> dict:
    """Trains, or goes on with it, and returns the summary.

    Raises:
        UserError: something given cannot be used.
        RunFailed: the training cannot go on; its last checkpoint is kept.
    """
    console, run, settings = Console(), open_training(job), job.settings
    if summary := completed(run, console):
        return summary
    folders, corpus = prepare(job, run, console)
    folder, train_split = folders.generator(settings, corpus), corpus.split("train")
    if not is_trained(folder):
        console.say(f"training a generator on {corpus.describe()}; {job.workers} x {job.lab}")
        (_on_ray if job.lab == "ray" else _here)(job, corpus, folders, folder, console)
    trained_s = console.elapsed_s
    set_threads(settings.threads)
    generator = make_generator(settings, train_split, folder)
    files = {CLIPS: _clips_figure(generator, corpus, train_split, settings.seed, settings.generator.content)}
    summary = {
        "generator": shown(folder.resolve()),
        "fingerprint": generator.fingerprint,
        "content": settings.generator.content,
        "labels": list(corpus.labels),
        "styles": list(corpus.styles),
        "seed": settings.seed,
        "workers": job.workers,
        "corpus": corpus.fingerprint,
        "notes": list(corpus.notes),
        "seconds": {"training": round(trained_s, 1), "all": round(console.elapsed_s, 1)},
    }
    run.finish(files, summary)
    for what, where in (("generator", folder), ("clips to look at", run.path / CLIPS), ("events", run.path / BOARD)):
        console.say(f"{what} {shown(where.resolve())}")
    return summary


def _here(job: GeneratorTraining, corpus: Corpus, folders: Folders, folder: Path, console: Console) -> None:
    set_threads(job.settings.threads)
    log = PartsLog(job.folder / BOARD, console.say)
    train_generator(job.settings, corpus.split("train"), folder, Beacon(folders.progress, "generator-0"), log)
    log.close()


def _on_ray(job: GeneratorTraining, corpus: Corpus, folders: Folders, folder: Path, console: Console) -> None:
    from jobs.ray_training import Ranks, generator_rank, train_on_ray

    task = {
        "settings": job.settings,
        "corpus": corpus.path,
        "folders": folders,
        "generator": folder,
        "board": folders.workspace / BOARD,
    }
    train_on_ray(generator_rank, task, Ranks.of(job), console.say)


def _clips_figure(generator: Generator, corpus: Corpus, train_split: list[Recording], seed: int, content: str) -> bytes:
    """A clip of each label in each style, as many as fit, under real recordings."""
    labels, styles = corpus.labels[:MOST_LABELS], corpus.styles[:MOST_STYLES]
    clips = [
        generator.synthesize(Request(label, style, 1, seed_of(seed, "look", label, style), content))[0]
        for label, style in product(labels, styles)
    ]
    return grid_figure(train_split, clips, labels, styles, kind_of(train_split[0]), LIGHT)


def main(argv: Sequence[str] | None = None) -> int:
    """`resp-agent train generator` and `python -m jobs.train_generator`; returns the exit code."""
    return run_job(lambda words: train(parse(GeneratorTraining, words)) and 0, argv)


if __name__ == "__main__":
    sys.exit(main())
