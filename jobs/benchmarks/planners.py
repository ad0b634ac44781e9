"""Planners at one budget: every policy on the same corpora, first trainings, optimizer steps and seeds."""

import dataclasses
import fcntl
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import Annotated

from jobs.benchmarks.planner_rows import PlannerRow, all_rows, chosen_rows
from jobs.benchmarks.planner_table import Results, as_plain, drawn, figures, printed, verdict
from jobs.benchmarks.planner_trial import PlannerTrial, play, staged
from jobs.console import Console
from jobs.options import Flat
from jobs.submitted import refuse_relative
from resp_agent.corpus.resolve import EMBEDDED
from resp_agent.curriculum.folders import Folders
from resp_agent.durable import write_atomic
from resp_agent.report.planners_figure import planners_figure
from resp_agent.report.style import LIGHT
from resp_agent.report.words import count_of
from resp_agent.settings import Settings
from resp_agent.settings.checks import refuse
from resp_agent.storage import local


@dataclass(frozen=True)
class PlannersBenchmark:
    """The planners of the paper and ours at one budget: the same corpora, first trainings, optimizer steps and seeds
    for every row. A benchmark that was killed goes on by the same command; two at once on one folder share the
    work."""

    out: str = "benchmarks"
    """Folder of results, table (JSON) and figure."""
    seeds: tuple[int, ...] = (11, 12, 13)
    """Seeds: of the embedded corpus, training and episode."""
    planners: tuple[str, ...] = ()
    """Rows; of none, all of them. A policy with parameters (`thinker:temperature=0.2`) or one's own is a row."""
    json: str | None = None
    """Where the table is written as JSON; by default into the folder."""
    settings: Annotated[Settings, Flat] = field(default_factory=Settings)

    def __post_init__(self):
        refuse(not self.seeds, "a table without a seed has no results: give --seeds at least one")
        chosen_rows(self.planners, self.settings)


def planners(job: PlannersBenchmark) -> int:
    """Plays what is not played yet, prints the table, and writes it with its figure; returns the exit code."""
    refuse_relative("--out", job.out)
    console, folders = Console(), Folders.of(job.out, job.out)
    rows = chosen_rows(job.planners, job.settings)
    trials = _trials(rows, job.settings, job.seeds, folders)
    left = [trial for trial in trials if trial.result is None]
    console.say(f"planners: {count_of(len(trials), 'trial')}, {len(left)} left to do")
    _play_all(left, console)

    known = {row.name: row for row in [*all_rows(job.settings), *rows]}
    results = _results(list(known.values()), job.settings, job.seeds, folders)
    table = figures(results, _of_oracle(job, folders))
    sentences, notes = verdict(table), _notes(job, results)
    kind = job.settings.generator.kind
    print("\n" + printed(f"Planners, generator {kind}", table, sentences, notes))
    out = folders.workspace
    where = local(job.json) if job.json else out / f"planners-{kind}.json"
    write_atomic(where, json.dumps(as_plain(table, sentences, notes), indent=1).encode())
    picture = out / f"planners-{kind}.png"
    write_atomic(picture, planners_figure([drawn(row) for row in table if row.results], notes[0], LIGHT))
    print(f"table {where}\nfigure {picture}")
    return 0


def _trials(rows: Sequence[PlannerRow], study: Settings, seeds: Sequence[int], folders: Folders) -> list[PlannerTrial]:
    return [PlannerTrial(row, dataclasses.replace(study, seed=seed), folders) for seed in seeds for row in rows]


def _play_all(trials: Sequence[PlannerTrial], console: Console) -> None:
    """Plays trials stage by stage; of two processes that do, each takes what the other has not taken."""
    ordered = sorted(trials, key=lambda trial: trial.stage)
    taken, played = [], 0
    for _, group in groupby(ordered, key=lambda trial: trial.stage):
        together = list(group)
        with _alone(together[0]) as free:
            if not free:
                taken += together
                continue
            waiting = [trial for trial in together if trial.result is None]
            if not waiting:
                continue
            with staged(waiting[0]) as env:
                for trial in waiting:
                    result, played = play(trial, env), played + 1
                    console.say(
                        f"{played}/{len(trials)}  {trial.row.name}, seed {trial.study.seed}: "
                        f"test macro-F1 {result['macro_f1_before']:.3f} -> {result['macro_f1']:.3f}"
                    )
    for trial in taken:
        # Whoever took it is done, or died, once the lock is free.
        with _alone(trial, wait=True):
            if trial.result is None:
                with staged(trial) as env:
                    play(trial, env)


@contextmanager
def _alone(trial: PlannerTrial, wait: bool = False) -> Iterator[bool]:
    """Whether this process has the trial's stage to itself; a process that dies lets go of it."""
    folder = trial.folders.workspace / "planner-trials" / "taken"
    folder.mkdir(parents=True, exist_ok=True)
    seed, variant, name = trial.stage
    with (folder / f"{seed}-{variant or 'as-it-is'}-{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


def _results(rows: Sequence[PlannerRow], study: Settings, seeds: Sequence[int], folders: Folders) -> Results:
    return {
        row.name: {
            trial.study.seed: result
            for trial in _trials([row], study, seeds, folders)
            if (result := trial.result) is not None
        }
        for row in rows
    }


def _of_oracle(job: PlannersBenchmark, folders: Folders) -> Results:
    """The same study with the simulator as generator, as far as it is done."""
    if job.settings.corpus != EMBEDDED:
        return {}
    generator = dataclasses.replace(job.settings.generator, kind="oracle")
    study = dataclasses.replace(job.settings, generator=generator)
    return _results(all_rows(study), study, job.seeds, folders)


def _notes(job: PlannersBenchmark, results: Results) -> list[str]:
    how = job.settings.curriculum
    each = ", another corpus for each" if job.settings.corpus == EMBEDDED else ""
    steps = how.rounds * how.steps_per_round
    notes = [
        f"corpus {job.settings.corpus}, preset {job.settings.preset}, generator {job.settings.generator.kind}; seeds "
        f"{', '.join(map(str, job.seeds))}{each}",
        f"every row: {how.budget} clips in {how.rounds} rounds of {how.requests_per_round} requests, {steps} optimizer "
        "steps after the first training, which all rows of a seed share but those with another loss or corpus",
        "mean ± standard deviation over seeds; differences are seed by seed, intervals are Student's t; where one "
        "contains zero the rows are not separated; tail-F1 is of the rarer half of the labels",
        "training-cells: validation holds no label in a style that training lacks it in; train+valid: trained on all "
        "of validation but one recording of a label; style-transfer: clips by equalising, no model",
        "the paper's figures are of its own corpus and of 50,000 clips (30,000 for rare-only to rare-x-hard-domain, "
        "where its thinker has .541): orders can be compared, values cannot",
    ]
    if not any(results.values()):
        notes.append("no row is done")
    overhead = [
        1 - (one["seconds"]["synthesize"] + one["seconds"]["learn"]) / one["seconds"]["rounds"]
        for done in results.values() for one in done.values()
    ]  # fmt: skip
    if overhead:
        notes.append(f"environment and policy took {sum(overhead) / len(overhead):.1%} of the rounds' time")
    return notes
