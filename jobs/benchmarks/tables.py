"""Tables 6 and 7 and the ablation: every row trained here, beside what was published, and where the two disagree."""

import dataclasses
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import tyro

from jobs.benchmarks import rows
from jobs.benchmarks.grid import Where, run_grid
from jobs.benchmarks.outcome import Outcome, choose_rate, verdict
from jobs.benchmarks.present import as_plain, draw, printed
from jobs.benchmarks.rows import Row
from jobs.benchmarks.trial import Trial
from jobs.console import Console
from jobs.submitted import refuse_relative
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.resolve import EMBEDDED, resolve_corpus, split_sources
from resp_agent.curriculum.folders import Folders
from resp_agent.durable import write_atomic
from resp_agent.errors import RunFailed
from resp_agent.report.words import count_of
from resp_agent.settings import Settings
from resp_agent.settings.checks import refuse

Flat = tyro.conf.arg(name="")


@dataclass(frozen=True)
class TableBenchmark:
    """What the tables share. Each row is trained on the training split once for each seed and learning rate, and scored
    on the test split. A benchmark that was killed goes on by the same command and repeats nothing."""

    out: str = "benchmarks"
    """Folder of results, table (JSON) and figure. Tables in one folder share the trials that they have in common."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of training; of the embedded corpus too, which is another one for each. Other corpora are built once."""
    rates: tuple[float, ...] = (1.0,)
    """Learning rates that every row is trained with, as multiples of the preset's; of several, the one with
    the best mean macro-F1 on validation counts."""
    whisper: str = "openai/whisper-tiny.en"
    """Weights of the Whisper encoder: file, folder or hub name."""
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


@dataclass(frozen=True)
class Table6Benchmark(TableBenchmark):
    """Table 6: systems of text alone and of audio alone against weaving with anchors."""

    with_pretraining: str | None = None
    """A pretrained Conformer stem (`train encoder`); adds rows that start from it."""


@dataclass(frozen=True)
class Table7Benchmark(TableBenchmark):
    """Table 7: late fusion of audio and text against weaving with anchors."""

    with_pretraining: str | None = None
    """A pretrained Conformer stem (`train encoder`); adds a row that starts from it."""


@dataclass(frozen=True)
class AblationBenchmark(TableBenchmark):
    """The ablation: late fusion or weaving, raw metadata or narrative, anchors or none; and weaving with anchors under
    class-weighted and focal loss."""


def table6(job: Table6Benchmark) -> int:
    """Runs and prints table 6."""
    return _run(
        job,
        "table6",
        "Table 6: one modality against weaving",
        rows.table6(job.settings.diagnoser, job.whisper, job.with_pretraining),
    )


def table7(job: Table7Benchmark) -> int:
    """Runs and prints table 7."""
    table = rows.table7(job.settings.diagnoser, job.whisper, job.with_pretraining)
    return _run(job, "table7", "Table 7: late fusion against weaving", table)


def ablation(job: AblationBenchmark) -> int:
    """Runs and prints the ablation."""
    table = rows.ablation(job.settings.diagnoser, job.whisper)
    return _run(job, "ablation", "Ablation: fusion, text, anchors and loss", table)


def _run(job: TableBenchmark, name: str, title: str, table: list[Row]) -> int:
    _check(job, table)
    console, folders = Console(), Folders.of(job.out, job.out)
    corpora = _corpora(job, folders, console)
    wanted = [row for row in table if not job.only or row.title in job.only]
    trials = {
        (row.title, rate, seed): _trial(job, row, rate, seed, corpora[seed], folders)
        for seed in job.seeds
        for row in wanted
        for rate in _rates(job)
    }
    ended = 0
    left = len({trial.key for trial in trials.values() if not trial.result})
    console.say(f"{name}: {count_of(len(trials), 'trial')}, {left} left to do")

    def tell(trial: Trial, result: dict) -> None:
        nonlocal ended
        ended += 1
        said = f"failed: {result['failed']}" if "failed" in result else f"test macro-F1 {result['macro_f1']:.3f}"
        console.say(f"{ended}/{left}  {trial.title}: {said}")

    found = run_grid(list(trials.values()), job.place, tell)
    outcomes = [_outcome(job, row, trials, found) for row in table]
    notes = _notes(job, corpora)
    sentences = verdict(outcomes)
    print("\n" + printed(title, outcomes, sentences, notes))

    out = folders.workspace
    write_atomic(out / f"{name}.json", json.dumps(as_plain(title, outcomes, sentences, notes), indent=1).encode())
    write_atomic(out / f"{name}.png", draw(title, outcomes, notes[0]))
    print(f"table {out / f'{name}.json'}\nfigure {out / f'{name}.png'}")
    if not any(outcome.results for outcome in outcomes):
        raise RunFailed("no row could be trained: see above why")
    return 0


def _check(job: TableBenchmark, table: Sequence[Row]) -> None:
    refuse_relative("--out", job.out)
    if job.settings.corpus != EMBEDDED:
        for _, path in split_sources([job.settings.corpus]):
            refuse_relative("--corpus", path or job.settings.corpus)
    titles = [row.title for row in table]
    for title in job.only:
        refuse(title not in titles, f"there is no row {title!r}: choose from {'; '.join(titles)}")


def _corpora(job: TableBenchmark, folders: Folders, console: Console) -> dict[int, Corpus]:
    """Corpus by training seed."""
    made: dict[int, Corpus] = {}
    for seed in job.seeds:
        settings = job.settings
        if settings.corpus == EMBEDDED:
            settings = dataclasses.replace(settings, seed=seed)
        elif made:
            made[seed] = next(iter(made.values()))
            continue
        made[seed] = resolve_corpus(settings, folders.corpus(settings), every_label=False)
        console.say(f"corpus {made[seed].path}: {made[seed].describe()}")
    return made


def _rates(job: TableBenchmark) -> list[float]:
    return [job.settings.diagnoser.training.learning_rate * multiple for multiple in job.rates]


def _trial(job: TableBenchmark, row: Row, rate: float, seed: int, corpus: Corpus, folders: Folders) -> Trial:
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


def _outcome(job: TableBenchmark, row: Row, trials: dict, found: dict[str, dict]) -> Outcome:
    if job.only and row.title not in job.only:
        return Outcome(row)
    results = {rate: {seed: found[trials[row.title, rate, seed].key] for seed in job.seeds} for rate in _rates(job)}
    return choose_rate(row, results)


def _notes(job: TableBenchmark, corpora: dict[int, Corpus]) -> list[str]:
    training, corpus = job.settings.diagnoser.training, next(iter(corpora.values()))
    seeds = f"{count_of(len(job.seeds), 'seed')} ({', '.join(map(str, job.seeds))})"
    per_seed = ", another corpus for each seed" if len({one.fingerprint for one in corpora.values()}) > 1 else ""
    left_out = Counter(one.label for one in corpus.descriptions("test") if one.label not in corpus.labels)
    notes = [
        f"corpus {job.settings.corpus}: {corpus.describe()}; {seeds}{per_seed}",
        f"preset {job.settings.preset}; every row is trained for {training.steps} steps of {training.batch} recordings "
        f"with the same settings but for what makes the row; its learning rate is the best on validation of "
        f"{', '.join(f'{rate:g}' for rate in _rates(job))}; the test split is scored once for each trial",
        "mean ± standard deviation over seeds; tail-F1 is the mean F1 of the 8 rarest labels in training",
        "the paper's figures are of its own corpus, Resp-229k, 16 labels: orders can be compared, values cannot",
    ]
    if left_out:
        named = ", ".join(f"{label} {count}" for label, count in left_out.most_common())
        notes.append(
            f"scored on the labels that training holds: {count_of(left_out.total(), 'test recording')} of other labels "
            f"left out ({named})"
        )
    return notes
