"""What every table of trained rows does: a trial for each row, seed and learning rate, and what they came to."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from jobs.benchmarks.grid import Where, run_grid
from jobs.benchmarks.outcome import Outcome, choose_rate
from jobs.benchmarks.rows import Row
from jobs.benchmarks.trial import Trial
from jobs.console import Console
from jobs.submitted import refuse_relative
from resp_agent.corpus.dataset import Corpus
from resp_agent.curriculum.folders import Folders
from resp_agent.durable import write_atomic
from resp_agent.errors import RunFailed
from resp_agent.report.words import count_of
from resp_agent.settings import Settings
from resp_agent.settings.checks import refuse

Flat = tyro.conf.arg(name="")


@dataclass(frozen=True)
class RowsBenchmark:
    """What the tables share. Each row is trained on the training split once for each seed and learning rate, and scored
    on the test split. A benchmark that was killed goes on by the same command and repeats nothing."""

    out: str = "benchmarks"
    """Folder of results, table (JSON) and figure. Tables in one folder share the trials that they have in common."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of training; of the embedded corpus too, which is another one for each. Other corpora are built once."""
    rates: tuple[float, ...] = (1.0,)
    """Learning rates that every row is trained with, as multiples of the preset's; of several, the one with
    the best mean macro-F1 on validation counts."""
    only: tuple[str, ...] = ()
    """Titles of rows to train; the others stay in the table without a result of ours."""
    place: Annotated[Where, Flat] = field(default_factory=Where)
    settings: Annotated[Settings, Flat] = field(default_factory=Settings)

    def __post_init__(self):
        refuse(not self.seeds, "a table without a seed has no results: give --seeds at least one")
        refuse(min(self.rates, default=0) <= 0, "rates are multiples above 0: give --rates at least one")
        refuse(
            self.settings.diagnoser.system != "weaving",
            "the rows of a table choose the system: leave --diagnoser.system out, and choose rows with --only",
        )

    @property
    def learning_rates(self) -> list[float]:
        """The rates themselves."""
        return [self.settings.diagnoser.training.learning_rate * multiple for multiple in self.rates]


def check_rows(job: RowsBenchmark, table: Sequence[Row]) -> None:
    """Raises UserError for a place that goes away with a submitted job, and for the title of no row."""
    refuse_relative("--out", job.out)
    titles = [row.title for row in table]
    for title in job.only:
        refuse(title not in titles, f"there is no row {title!r}: choose from {'; '.join(titles)}")


def train_rows(
    job: RowsBenchmark,
    name: str,
    table: Sequence[Row],
    corpora: dict[int, Corpus],
    folders: Folders,
    console: Console,
    read: Callable[[dict], dict] = lambda result: result,
) -> list[Outcome]:
    """Trains the rows that the job asks for, tells of each trial, and gives every row's outcome.

    Args:
        corpora: by seed.
        read: from a trial's result to what the table reads of it.
    """
    wanted = [row for row in table if not job.only or row.title in job.only]
    trials = {
        (row.title, rate, seed): _trial(job, row, rate, seed, corpora[seed], folders)
        for seed in job.seeds
        for row in wanted
        for rate in job.learning_rates
    }
    ended = 0
    left = len({trial.key for trial in trials.values() if not trial.result})
    console.say(f"{name}: {count_of(len(trials), 'trial')}, {left} left to do")

    def tell(trial: Trial, result: dict) -> None:
        nonlocal ended
        ended += 1
        said = f"failed: {result['failed']}" if "failed" in result else f"test macro-F1 {result['macro_f1']:.3f}"
        console.say(f"{ended}/{left}  {trial.title}: {said}")

    found = {key: read(result) for key, result in run_grid(list(trials.values()), job.place, tell).items()}

    def outcome(row: Row) -> Outcome:
        if row not in wanted:
            return Outcome(row)
        by_rate = {
            rate: {seed: found[trials[row.title, rate, seed].key] for seed in job.seeds} for rate in job.learning_rates
        }
        return choose_rate(row, by_rate)

    return [outcome(row) for row in table]


def publish(files: dict[Path, bytes], outcomes: Sequence[Outcome]) -> None:
    """Writes table and figure and says where they are.

    Raises:
        RunFailed: no row has a result.
    """
    for path, content in files.items():
        write_atomic(path, content)
        print(f"{'figure' if path.suffix == '.png' else 'table'} {path}")
    if not any(outcome.results for outcome in outcomes):
        raise RunFailed("no row could be trained: see above why")


def _trial(job: RowsBenchmark, row: Row, rate: float, seed: int, corpus: Corpus, folders: Folders) -> Trial:
    known = row.settings
    # Workers have working directories of their own.
    places = {name: _absolute(getattr(known, name)) for name in ("text_model", "stem_weights")}
    encoder = dataclasses.replace(known.encoder, weights=_absolute(known.encoder.weights))
    training = dataclasses.replace(known.training, learning_rate=rate)
    diagnoser = dataclasses.replace(known, **places, encoder=encoder, training=training)
    return Trial(
        title=f"{row.title}, seed {seed}, rate {rate:g}",
        settings=dataclasses.replace(job.settings, seed=seed, diagnoser=diagnoser),
        corpus=str(corpus.path.resolve()),
        corpus_fingerprint=corpus.fingerprint,
        folder=str(folders.workspace / "trials"),
        features=str(folders.features),
    )


def _absolute(name: str | None) -> str | None:
    return os.path.abspath(name) if name and os.path.exists(name) else name
