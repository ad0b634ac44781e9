"""The corpus: built from raw recordings of any of the sources, and what was built in figures."""

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import pyarrow
import tyro

from jobs.console import Console
from jobs.exits import run_job
from jobs.submitted import refuse_relative
from jobs.verbs import run_verb
from resp_agent.corpus.build import build_corpus
from resp_agent.corpus.bulk import Runner, Work
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.resolve import parse_sources, split_sources
from resp_agent.errors import UserError
from resp_agent.settings import CorpusSettings
from resp_agent.settings.checks import refuse
from resp_agent.storage import local, shown

TELL_EVERY_S = 2.0


@dataclass(frozen=True)
class BuildJob:
    """Builds a corpus from raw recordings in their original layouts. A build that was killed goes on by the same
    command."""

    sources: tuple[str, ...]
    """Where the sources lie, as `<source>=<path>`: ukcovid, icbhi, sprsound, coughvid, kauh, covid19cough, hflung, or
    `folder=<path>` for recordings of your own, described by a metadata.csv."""
    out: str
    """The corpus directory to make. An earlier corpus there is replaced once the new one is whole."""
    where: Literal["auto", "ray", "local"] = "auto"
    """Workers on Ray Data, or in this process; `auto` is Ray from 2,000 recordings on. Changes the time only."""
    workers: int = os.cpu_count() or 1
    """Recordings that are decoded at the same time."""
    cpus: float = 0.5
    """CPUs that a worker reserves on Ray."""
    gpus: float = 0.0
    """GPUs that a worker reserves on Ray, for narratives by a model."""
    settings: Annotated[CorpusSettings, tyro.conf.arg(name="")] = field(default_factory=CorpusSettings)

    def __post_init__(self):
        refuse(self.workers < 1, f"{self.workers} workers decode nothing: give --workers at least 1")
        refuse(not self.cpus > 0, f"a worker cannot reserve {self.cpus} CPUs: give --cpus above 0")
        refuse(not self.gpus >= 0, f"a worker cannot reserve {self.gpus} GPUs: give --gpus at least 0")


@dataclass(frozen=True)
class StatsJob:
    """Says in tables and figures what a corpus holds and what became of everything that was found."""

    corpus: tyro.conf.Positional[str]
    """A corpus directory."""
    json: bool = False
    """Print plain data for machines, and draw nothing."""
    figures: str | None = None
    """Where figures go; by default `figures` in the corpus directory."""


def build(job: BuildJob) -> int:
    """Builds, and says what was built and where it is."""
    refuse_relative("--out", job.out)
    for _, path in split_sources(job.sources):
        refuse_relative("--sources", path)
    sources, console = parse_sources(list(job.sources)), Console()
    run = placed(job.where, job.workers, job.cpus, job.gpus)
    corpus = build_corpus(sources, local(job.out), job.settings, run, _Progress(console))
    counts = corpus.manifest["counts"]
    built = counts["found"] - counts["excluded"] - counts["quarantined"]
    console.say(
        f"{counts['found']} found = {built} built + {counts['excluded']} excluded + {counts['quarantined']} quarantined"
    )
    console.say(f"corpus {shown(corpus.path.resolve())}")
    console.say(f"what is in it: resp-agent corpus stats {job.out}")
    return 0


def stats(job: StatsJob) -> int:
    """Prints statistics of a corpus and draws its figures."""
    # Imported when needed: drawing costs a second that a build has no use for.
    from resp_agent.corpus.statistics import statistics
    from resp_agent.report.corpus_figures import draw
    from resp_agent.report.corpus_tables import render

    corpus = Corpus.open(local(job.corpus))
    try:
        figures = statistics(corpus)
    except (pyarrow.ArrowException, OSError, LookupError, TypeError) as problem:
        raise UserError(
            f"the corpus {job.corpus} is damaged ({type(problem).__name__}: {str(problem)[:200]}): build it again"
        ) from None
    if job.json:
        print(json.dumps(figures, indent=2, ensure_ascii=False))
        return 0
    print(render(figures))
    folder = local(job.figures) if job.figures else corpus.path / "figures"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        drawn = draw(figures, folder)
    except OSError as problem:
        raise UserError(f"figures cannot be written to {folder} ({problem.strerror}): give --figures") from None
    print("figures: " + ", ".join(map(shown, drawn)))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """`resp-agent corpus` and `python -m jobs.corpus`; returns the exit code."""
    verbs = {"build": (BuildJob, build), "stats": (StatsJob, stats)}
    return run_job(lambda words: run_verb("resp-agent corpus", verbs, words), argv)


def placed(where: str, workers: int, cpus: float = 0.5, gpus: float = 0.0) -> Runner:
    """The runner that `jobs.bulk.runner` chooses for each phase's parts."""

    def run(work: Work, parts: Sequence[Path]) -> Iterator[int]:
        # Imported when needed: what is refused before any work knows no Ray.
        from jobs.bulk import runner

        return runner(where, workers, cpus, gpus, parts)(work, parts)

    return run


class _Progress:
    """Tells how far a build is, every some seconds and at the end of each phase."""

    def __init__(self, console: Console):
        self._console, self._told, self._what = console, 0.0, ""

    def __call__(self, what: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        if what != self._what or done == total or now - self._told >= TELL_EVERY_S:
            self._console.say(f"{what} {done:,}" + (f" of {total:,}" if total is not None else ""))
            self._told, self._what = now, what


if __name__ == "__main__":
    sys.exit(main())
