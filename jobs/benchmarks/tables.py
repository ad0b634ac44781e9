"""Tables 6 and 7 and the ablation: every row trained here, beside what was published, and where the two disagree."""

import dataclasses
import json
from collections import Counter
from dataclasses import dataclass

from jobs.benchmarks import rows
from jobs.benchmarks.outcome import verdict
from jobs.benchmarks.present import as_plain, draw, printed
from jobs.benchmarks.rows import Row
from jobs.benchmarks.trained_rows import RowsBenchmark, check_rows, publish, train_rows
from jobs.console import Console
from jobs.submitted import refuse_relative
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.resolve import EMBEDDED, resolve_corpus, split_sources
from resp_agent.curriculum.folders import Folders
from resp_agent.report.words import count_of


@dataclass(frozen=True)
class TableBenchmark(RowsBenchmark):
    """What tables 6 and 7 and the ablation share."""

    whisper: str = "openai/whisper-tiny.en"
    """Weights of the Whisper encoder: file, folder or hub name."""


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
    check_rows(job, table)
    if job.settings.corpus != EMBEDDED:
        for _, path in split_sources([job.settings.corpus]):
            refuse_relative("--corpus", path or job.settings.corpus)
    console, folders = Console(), Folders.of(job.out, job.out)
    corpora = _corpora(job, folders, console)
    outcomes = train_rows(job, name, table, corpora, folders, console)
    notes = _notes(job, corpora)
    sentences = verdict(outcomes)
    print("\n" + printed(title, outcomes, sentences, notes))
    plain = json.dumps(as_plain(title, outcomes, sentences, notes), indent=1).encode()
    out = folders.workspace
    publish({out / f"{name}.json": plain, out / f"{name}.png": draw(title, outcomes, notes[0])}, outcomes)
    return 0


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


def _notes(job: TableBenchmark, corpora: dict[int, Corpus]) -> list[str]:
    training, corpus = job.settings.diagnoser.training, next(iter(corpora.values()))
    seeds = f"{count_of(len(job.seeds), 'seed')} ({', '.join(map(str, job.seeds))})"
    per_seed = ", another corpus for each seed" if len({one.fingerprint for one in corpora.values()}) > 1 else ""
    left_out = Counter(one.label for one in corpus.descriptions("test") if one.label not in corpus.labels)
    notes = [
        f"corpus {job.settings.corpus}: {corpus.describe()}; {seeds}{per_seed}",
        f"preset {job.settings.preset}; every row is trained for {training.steps} steps of {training.batch} recordings "
        f"with the same settings but for what makes the row; its learning rate is the best on validation of "
        f"{', '.join(f'{rate:g}' for rate in job.learning_rates)}; the test split is scored once for each trial",
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
