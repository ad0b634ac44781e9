"""Table 2: respiratory cycles of ICBHI 2017 in four classes on the official split, beside what was published."""

import dataclasses
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from jobs.benchmarks.grid import Where, run_grid
from jobs.benchmarks.icbhi_present import as_plain, draw, printed
from jobs.benchmarks.icbhi_rows import live_rows, with_scores
from jobs.benchmarks.outcome import Outcome, choose_rate
from jobs.benchmarks.rows import Row
from jobs.benchmarks.trial import Trial
from jobs.console import Console
from jobs.submitted import refuse_relative
from resp_agent.corpus.cycles import cycle_corpus
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.resolve import EMBEDDED, find_corpus, split_sources
from resp_agent.corpus.sources.icbhi import NAME
from resp_agent.curriculum.folders import Folders
from resp_agent.durable import write_atomic
from resp_agent.errors import RunFailed, UserError
from resp_agent.report.words import count_of
from resp_agent.settings import Settings
from resp_agent.settings.checks import refuse

Flat = tyro.conf.arg(name="")


@dataclass(frozen=True)
class Table2Benchmark:
    """Table 2: a system of each kind among the published rows, a Conformer and weaving, trained on the official
    training part of ICBHI 2017 once for each seed and learning rate, and scored on the official test part. A benchmark
    that was killed goes on by the same command and repeats nothing."""

    out: str = "benchmarks"
    """Folder of results, table (JSON) and figure."""
    json: str | None = None
    """File for the table, beside the one in `out`."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of training."""
    rates: tuple[float, ...] = (1.0,)
    """Learning rates that every row is trained with, as multiples of the preset's; of several, the one with the best
    mean macro-F1 on validation counts."""
    only: tuple[str, ...] = ()
    """Titles of rows to train; the others stay in the table without a result."""
    with_pretraining: str | None = None
    """A pretrained Conformer stem (`train encoder`); adds a row of weaving that starts from it."""
    place: Annotated[Where, Flat] = field(default_factory=Where)
    settings: Annotated[Settings, Flat] = field(default_factory=Settings)

    def __post_init__(self):
        refuse(not self.seeds, "a table without a seed has no results: give --seeds at least one")
        refuse(min(self.rates, default=0) <= 0, "rates are multiples above 0: give --rates at least one")
        refuse(
            self.settings.diagnoser.system != "weaving",
            "the rows of a table choose the system: leave --diagnoser.system out, and choose rows with --only",
        )


def table2(job: Table2Benchmark) -> int:
    """Runs and prints table 2."""
    table = live_rows(job.settings.diagnoser, job.with_pretraining)
    _check(job, table)
    console, folders = Console(), Folders.of(job.out, job.out)
    corpus = _cycles(job, folders)
    data = describe(corpus)
    console.say(f"corpus {corpus.path}: {phrase(data)}")
    wanted = [row for row in table if not job.only or row.title in job.only]
    rates = [job.settings.diagnoser.training.learning_rate * multiple for multiple in job.rates]
    trials = {
        (row.title, rate, seed): _trial(job, row, rate, seed, corpus, folders)
        for seed in job.seeds
        for row in wanted
        for rate in rates
    }
    left = sum(not trial.result for trial in trials.values())
    console.say(f"table2: {count_of(len(trials), 'trial')}, {left} left to do")
    ended = 0

    def tell(trial: Trial, result: dict) -> None:
        nonlocal ended
        ended += 1
        said = f"failed: {result['failed']}" if "failed" in result else f"test macro-F1 {result['macro_f1']:.3f}"
        console.say(f"{ended}/{left}  {trial.title}: {said}")

    found = {key: with_scores(result) for key, result in run_grid(list(trials.values()), job.place, tell).items()}
    outcomes = [
        choose_rate(
            row, {rate: {seed: found[trials[row.title, rate, seed].key] for seed in job.seeds} for rate in rates}
        )
        if row in wanted
        else Outcome(row)
        for row in table
    ]
    notes = _notes(job, corpus, rates)
    print("\n" + printed(outcomes, phrase(data), notes))

    plain = json.dumps(as_plain(outcomes, data, notes), indent=1, allow_nan=False).encode()
    files = {folders.workspace / "table2.json": plain, folders.workspace / "table2.png": draw(outcomes, phrase(data))}
    if job.json:
        files[Path(job.json)] = plain
    for path, content in files.items():
        write_atomic(path, content)
        print(f"{'figure' if path.suffix == '.png' else 'table'} {path}")
    if not any(outcome.results for outcome in outcomes):
        raise RunFailed("no row could be trained: see above why")
    return 0


def describe(corpus: Corpus) -> dict[str, dict]:
    """For each split of a corpus of cycles: how many `cycles`, `patients`, and cycles `by_class`."""
    said = {}
    for split in ("train", "valid", "test"):
        described = corpus.descriptions(split)
        said[split] = {
            "cycles": len(described),
            "patients": len({one.patient_id for one in described}),
            "by_class": {name: sum(one.label == name for one in described) for name in corpus.label_set},
        }
    return said


def phrase(data: dict[str, dict]) -> str:
    """What `describe` found, in a phrase."""
    parts = {"train": "for training", "valid": "for validation", "test": "for the test"}
    return ", ".join(
        f"{count_of(one['cycles'], 'cycle')} of {count_of(one['patients'], 'patient')} {parts[split]}"
        for split, one in data.items()
    )


def _check(job: Table2Benchmark, table: list[Row]) -> None:
    refuse_relative("--out", job.out)
    if job.json:
        refuse_relative("--json", job.json)
    named = job.settings.corpus
    sources = split_sources([named]) if "=" in named and not Path(named).exists() else []
    if named == EMBEDDED or (sources and NAME not in dict(sources)):
        raise UserError(
            f"the corpus {named} has no respiratory cycles of ICBHI 2017: give --corpus {NAME}=<path>, or a corpus "
            "that was built from it"
        )
    for path in [path for _, path in sources] or [named]:
        refuse_relative("--corpus", path)
    titles = [row.title for row in table]
    for title in job.only:
        refuse(title not in titles, f"there is no row {title!r}: choose from {'; '.join(titles)}")


def _cycles(job: Table2Benchmark, folders: Folders) -> Corpus:
    recordings = find_corpus(job.settings, folders.corpus(job.settings))
    return cycle_corpus(recordings, folders.first / f"cycles-{recordings.fingerprint}", job.settings.seed)


def _trial(job: Table2Benchmark, row: Row, rate: float, seed: int, corpus: Corpus, folders: Folders) -> Trial:
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


def _notes(job: Table2Benchmark, corpus: Corpus, rates: list[float]) -> list[str]:
    training = job.settings.diagnoser.training
    quarantined = corpus.quarantined
    return [
        f"{count_of(len(job.seeds), 'seed')} ({', '.join(map(str, job.seeds))}); mean ± standard deviation over seeds",
        f"preset {job.settings.preset}; every row is trained from the same cycles for {training.steps} steps of "
        f"{training.batch} with the same settings but for what makes the row, at a learning rate of "
        f"{', '.join(f'{rate:g}' for rate in rates)}; validation is by patient, out of the official training part; the "
        "test part is scored once for each trial",
        "Sp: correct normal cycles of all normal ones; Se: abnormal cycles given exactly their class, of all abnormal "
        "ones; Score: their mean; calling every cycle normal has Sp 100, Se 0 and Score 50",
        "ResNet-18, CNN6, AST and CLAP are as wide as the settings say and have no running statistics; AST and CLAP "
        f"repeat a cycle until it fills their window of {job.settings.audio.clip_s:g} s",
        "texts are of age, sex and site; nothing in them tells what is heard",
        *corpus.notes,
        *([f"{count_of(quarantined, 'cycle')} set aside, with reasons, in {corpus.path}"] if quarantined else []),
    ]
