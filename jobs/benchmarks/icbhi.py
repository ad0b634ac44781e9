"""Table 2: respiratory cycles of ICBHI 2017 in four classes on the official split, beside what was published."""

import json
from dataclasses import dataclass

from jobs.benchmarks.icbhi_present import as_plain, draw, printed
from jobs.benchmarks.icbhi_rows import live_rows, with_scores
from jobs.benchmarks.rows import Row
from jobs.benchmarks.trained_rows import RowsBenchmark, check_rows, publish, train_rows
from jobs.console import Console
from jobs.submitted import refuse_relative
from resp_agent.corpus.cycles import cycle_corpus
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.resolve import EMBEDDED, find_corpus, split_sources
from resp_agent.corpus.sources.icbhi import NAME
from resp_agent.curriculum.folders import Folders
from resp_agent.errors import UserError
from resp_agent.report.words import count_of
from resp_agent.storage import is_remote, local


@dataclass(frozen=True)
class Table2Benchmark(RowsBenchmark):
    """Table 2: a system of each kind among the published rows, a Conformer and weaving, trained on the official
    training part of ICBHI 2017 once for each seed and learning rate, and scored on the official test part. A benchmark
    that was killed goes on by the same command and repeats nothing."""

    json: str | None = None
    """File for the table, beside the one in `out`."""
    with_pretraining: str | None = None
    """A pretrained Conformer stem (`train encoder`); adds a row of weaving that starts from it."""


def table2(job: Table2Benchmark) -> int:
    """Runs and prints table 2."""
    table = live_rows(job.settings.diagnoser, job.with_pretraining)
    _check(job, table)
    console, folders = Console(), Folders.of(job.out, job.out)
    corpus = _cycles(job, folders)
    data = describe(corpus)
    console.say(f"corpus {corpus.path}: {phrase(data)}")
    corpora = dict.fromkeys(job.seeds, corpus)
    outcomes = train_rows(job, "table2", table, corpora, folders, console, with_scores)
    notes = _notes(job, corpus)
    print("\n" + printed(outcomes, phrase(data), notes))
    plain = json.dumps(as_plain(outcomes, data, notes), indent=1, allow_nan=False).encode()
    files = {folders.workspace / "table2.json": plain, folders.workspace / "table2.png": draw(outcomes, phrase(data))}
    publish(files | ({local(job.json): plain} if job.json else {}), outcomes)
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
    check_rows(job, table)
    if job.json:
        refuse_relative("--json", job.json)
    named = job.settings.corpus
    sources = split_sources([named]) if "=" in named and not (is_remote(named) or local(named).exists()) else []
    if named == EMBEDDED or (sources and NAME not in dict(sources)):
        raise UserError(
            f"the corpus {named} has no respiratory cycles of ICBHI 2017: give --corpus {NAME}=<path>, or a corpus "
            "that was built from it"
        )
    for path in [path for _, path in sources] or [named]:
        refuse_relative("--corpus", path)


def _cycles(job: Table2Benchmark, folders: Folders) -> Corpus:
    recordings = find_corpus(job.settings, folders.corpus(job.settings))
    return cycle_corpus(recordings, folders.first / f"cycles-{recordings.fingerprint}", job.settings.seed)


def _notes(job: Table2Benchmark, corpus: Corpus) -> list[str]:
    training = job.settings.diagnoser.training
    quarantined = corpus.quarantined
    return [
        f"{count_of(len(job.seeds), 'seed')} ({', '.join(map(str, job.seeds))}); mean ± standard deviation over seeds",
        f"preset {job.settings.preset}; every row is trained from the same cycles for {training.steps} steps of "
        f"{training.batch} with the same settings but for what makes the row, at a learning rate of "
        f"{', '.join(f'{rate:g}' for rate in job.learning_rates)}; validation is by patient, out of the official "
        "training part; the test part is scored once for each trial",
        "Sp: correct normal cycles of all normal ones; Se: abnormal cycles given exactly their class, of all abnormal "
        "ones; Score: their mean; calling every cycle normal has Sp 100, Se 0 and Score 50",
        "ResNet-18, CNN6, AST and CLAP are as wide as the settings say and have no running statistics; AST and CLAP "
        f"repeat a cycle until it fills their window of {job.settings.audio.clip_s:g} s",
        "texts are of age, sex and site; nothing in them tells what is heard",
        *corpus.notes,
        *([f"{count_of(quarantined, 'cycle')} set aside, with reasons, in {corpus.path}"] if quarantined else []),
    ]
