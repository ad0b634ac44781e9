"""What clips are worth: the diagnoser's test score after learning from them, against controls and the oracle."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from jobs.benchmarks.downstream_trial import POOL, Source, Trial
from jobs.console import Console
from jobs.options import Flat
from jobs.submitted import refuse_relative
from resp_agent.corpus.resolve import EMBEDDED
from resp_agent.curriculum.folders import Folders
from resp_agent.curriculum.policies import NONE
from resp_agent.durable import write_atomic
from resp_agent.metrics.paired import paired
from resp_agent.report.style import LIGHT
from resp_agent.report.terminal import text_table, wrapped
from resp_agent.report.words import count_of, score
from resp_agent.report.worth_figure import Worth, worth_figure
from resp_agent.settings import Settings
from resp_agent.settings.checks import refuse

ONLINE, PER_CELL = 128, 40
"""Clips of each label and style: as many as are drawn at all, so that each is fresh; and of a pool."""

CONTROL, INVENTING = "style transfer", "style transfer, new patients"
SOURCES = (
    Source("none", "style-transfer", NONE),
    Source(f"{CONTROL}, random", "style-transfer", "random", invents=False),
    Source(f"{INVENTING}, random", "style-transfer", "random"),
    Source("generator, random", "trained", "random"),
    Source("oracle, random", "oracle", "random"),
    Source(f"{CONTROL}, weakness", "style-transfer", "weakness", invents=False),
    Source(f"{INVENTING}, weakness", "style-transfer", "weakness"),
    Source("generator, weakness", "trained", "weakness"),
    Source("oracle, weakness", "oracle", "weakness"),
    Source(f"{CONTROL}, online", "style-transfer", POOL, ONLINE, invents=False),
    Source(f"{INVENTING}, online", "style-transfer", POOL, ONLINE),
    Source("generator, pool", "trained", POOL, PER_CELL),
    Source("oracle, pool", "oracle", POOL, PER_CELL),
)
"""Rows of the table. Each kind of use has its control and its bound: the oracle is the simulator itself. A control with
the generator's invented patients tells what narratives alone are worth."""


@dataclass(frozen=True)
class DownstreamBenchmark:
    """What clips are worth on the embedded corpus: the same diagnoser, budget and optimizer steps; a corpus, a first
    training and a generator for each seed. `random` and `weakness` are runs of the curriculum; `pool` gives 40
    clips of each label and style to the diagnoser at once; `online` never gives a clip twice. A benchmark that was
    killed goes on by the same command; two at once on one folder may share the seeds."""

    out: str = "benchmarks"
    """Folder of results, table (JSON) and figure."""
    seeds: tuple[int, ...] = (11, 12, 13)
    """Seeds: of corpus, training and episode."""
    only: tuple[str, ...] = ()
    """Titles of rows to run; the others stay in the table with what is known of them."""
    settings: Annotated[Settings, Flat] = field(default_factory=Settings)

    def __post_init__(self):
        refuse(not self.seeds, "a table without a seed has no results: give --seeds at least one")
        refuse(
            self.settings.corpus != EMBEDDED,
            f"only the embedded corpus has an oracle to compare with: leave --corpus {self.settings.corpus} out",
        )
        titles = [source.title for source in SOURCES]
        for title in self.only:
            refuse(title not in titles, f"there is no row {title!r}: choose from {'; '.join(titles)}")


def downstream(job: DownstreamBenchmark) -> int:
    """Runs what is not done yet, prints the table, and writes it with its figure; returns the exit code."""
    refuse_relative("--out", job.out)
    console, folders = Console(), Folders.of(job.out, job.out)
    trials = {
        (source.title, seed): Trial(dataclasses.replace(job.settings, seed=seed), source, folders)
        for seed in job.seeds
        for source in SOURCES
    }
    wanted = [trial for (title, _), trial in trials.items() if not job.only or title in job.only]
    left = [trial for trial in wanted if trial.result is None]
    console.say(f"downstream: {count_of(len(wanted), 'trial')}, {len(left)} left to do")
    for number, trial in enumerate(left, start=1):
        result = trial.run()
        seed = trial.settings.seed
        console.say(f"{number}/{len(left)}  {trial.source.title}, seed {seed}: test macro-F1 {result['macro_f1']:.3f}")
    found = {key: trial.result["macro_f1"] for key, trial in trials.items() if trial.result}
    rows = [measured(source.title, job.seeds, found) for source in SOURCES]
    notes = [*_notes(job), *_beyond_narratives(job.seeds, found)]
    print("\n" + _printed(rows, notes))
    out = folders.workspace
    plain = {"rows": [dataclasses.asdict(row) for row in rows], "seeds": list(job.seeds), "notes": notes}
    write_atomic(out / "downstream.json", json.dumps(plain, indent=1).encode())
    write_atomic(out / "downstream.png", worth_figure([_drawn(row) for row in rows if row.scores], notes[0], LIGHT))
    print(f"table {out / 'downstream.json'}\nfigure {out / 'downstream.png'}")
    return 0


@dataclass(frozen=True)
class Measured:
    """A row's figures. None: a trial that it needs is not done."""

    title: str
    scores: dict[int, float]
    """Seed -> test macro-F1."""
    mean: float | None
    sd: float | None
    share: float | None
    """Of the gain over `none` of the best oracle of this use or a simpler one, over the same seeds."""
    over_control: float | None
    """Mean difference to style transfer used the same way, seed by seed."""
    interval: tuple[float, float] | None
    """95 % of that difference (Student's t, paired)."""


def measured(title: str, seeds: Sequence[int], found: dict[tuple[str, int], float]) -> Measured:
    """The figures of a row over the seeds for which it and what it is compared with are done."""

    def scores(row: str, among: Sequence[int]) -> np.ndarray:
        return np.array([found[row, seed] for seed in among])

    def done(*rows: str) -> list[int]:
        return [seed for seed in seeds if all((row, seed) in found for row in rows)]

    own = done(title)
    use = title.rpartition(", ")[2] if ", " in title else ""
    share = difference = interval = None
    bounds = {"random": ["random"], "weakness": ["random", "weakness"], "pool": ["pool"], "online": ["pool"]}.get(use)
    if bounds:
        oracles = [f"oracle, {bound}" for bound in bounds]
        shared = done(title, "none", *oracles)
        if shared:
            base = scores("none", shared).mean()
            best = max(scores(oracle, shared).mean() for oracle in oracles)
            share = float((scores(title, shared).mean() - base) / (best - base))
    control = f"{CONTROL}, " + {"pool": "online"}.get(use, use)
    if use and title != control and len(shared := done(title, control)) > 1:
        difference, interval = paired(scores(title, shared) - scores(control, shared))
    values = scores(title, own)
    return Measured(
        title,
        {seed: found[title, seed] for seed in own},
        float(values.mean()) if own else None,
        float(values.std(ddof=1)) if len(own) > 1 else None,
        share,
        difference,
        interval,
    )


def _printed(rows: Sequence[Measured], notes: Sequence[str]) -> str:
    head = ("clips", "test macro-F1", "share of the oracle's gain", "over style transfer", "95 %", "seeds")
    lines = [
        (
            row.title,
            score(row.mean) + (f" ± {row.sd:.3f}" if row.sd is not None else ""),
            "—" if row.share is None else f"{row.share:.0%}",
            "—" if row.over_control is None else f"{row.over_control:+.3f}",
            "—" if row.interval is None else f"{row.interval[0]:+.3f} to {row.interval[1]:+.3f}",
            str(len(row.scores)),
        )
        for row in rows
    ]
    table = "\n".join(["What clips are worth", *text_table(head, lines, texts=1)])
    return "\n\n".join([table, "\n".join(["Notes", *(wrapped(note) for note in notes)])]) + "\n"


def _notes(job: DownstreamBenchmark) -> list[str]:
    curriculum = job.settings.curriculum
    steps = curriculum.rounds * curriculum.steps_per_round
    return [
        f"embedded corpus, preset {job.settings.preset}, seeds {', '.join(map(str, job.seeds))}: another corpus, first "
        "training and generator for each",
        f"after the first training {steps} optimizer steps in every row; `random` and `weakness` spend "
        f"{curriculum.budget} clips in {curriculum.rounds} rounds, `pool` and `online` give all clips at once",
        "style transfer: per-band mean and deviation of real clips, no model; oracle: the simulator itself",
        "new patients: narratives are put together from several of the label, as the generator's are",
        "the share for `weakness` is of the better of the two oracles; ± is the deviation over seeds",
    ]


def _beyond_narratives(seeds: Sequence[int], found: dict[tuple[str, int], float]) -> list[str]:
    """What the generator's sound is worth, its narratives apart, where that is known."""
    told = []
    for use, control in (("random", "random"), ("weakness", "weakness"), ("pool", "online")):
        rows = f"generator, {use}", f"{INVENTING}, {control}"
        shared = [seed for seed in seeds if all((row, seed) in found for row in rows)]
        if len(shared) > 1:
            gap, (low, high) = paired(np.array([found[rows[0], seed] - found[rows[1], seed] for seed in shared]))
            told.append(f"{rows[0]} over {rows[1]}: {gap:+.3f}, 95 % {low:+.3f} to {high:+.3f}")
    return told


def _drawn(row: Measured) -> Worth:
    return Worth(row.title, tuple(row.scores.values()))
