"""Table 4: what clips are like when style or content is swapped, beside the paper, controls and real recordings."""

import dataclasses
import json
from dataclasses import dataclass, field
from statistics import mean
from typing import Annotated

import tyro

from jobs.benchmarks.table4_clips import NOISE_DB, PROTOCOLS
from jobs.benchmarks.table4_judge import JudgeSettings
from jobs.benchmarks.table4_present import Row, as_plain, drawn, printed
from jobs.benchmarks.table4_trial import DUPLICATES, REAL, VOCODED, Source, Trial
from jobs.benchmarks.table4_yardsticks import Yardsticks
from jobs.console import Console
from jobs.submitted import refuse_relative
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.resolve import EMBEDDED, resolve_corpus, split_sources
from resp_agent.curriculum.folders import Folders
from resp_agent.durable import write_atomic
from resp_agent.errors import RunFailed
from resp_agent.metrics.embeddings import Embedder
from resp_agent.report.words import count_of, score
from resp_agent.settings import EncoderSettings, Settings
from resp_agent.settings.checks import refuse

SOURCES = (
    Source("generator", "trained"),
    Source("style transfer", "style-transfer"),
    Source("oracle", "oracle"),
    Source("real recordings", REAL),
    Source("vocoder alone", VOCODED),
    Source("noisy duplicates", DUPLICATES),
)
"""Rows of the table; of real corpora there is no oracle."""
WHISPER = EncoderSettings(kind="whisper", weights="openai/whisper-tiny.en")


@dataclass(frozen=True)
class Table4Benchmark:
    """Style swap and content swap: whether clips have the label (P-Acc) and the style (Style-Sim) that they were asked
    for, how far they are from held-out recordings (FAD), whether they give their content's own style away, how varied
    they are, and whether one is a training recording again. A benchmark that was killed goes on by the same command."""

    out: str = "benchmarks"
    """Folder of results, table (JSON) and figure; of corpora, generators and judge too, which other benchmarks
    share."""
    seeds: tuple[int, ...] = (1, 2, 3)
    """Seeds of generator and requests; of the embedded corpus too, which is another one for each."""
    only: tuple[str, ...] = ()
    """Titles of rows to run; the others stay in the table with what is known of them."""
    count: int = 8
    """Clips of each label and style, of each swap."""
    judge: JudgeSettings = field(default_factory=JudgeSettings)
    backbone: EncoderSettings = WHISPER
    """Frozen encoder whose features, averaged over time, are the embeddings."""
    settings: Annotated[Settings, tyro.conf.arg(name="")] = field(default_factory=Settings)

    def __post_init__(self):
        refuse(not self.seeds, "a table without a seed has no results: give --seeds at least one")
        refuse(self.count < 2, f"{self.count} clips of a label and style have no variety: give --count 2 or more")
        titles = [source.title for source in self.sources]
        for title in self.only:
            refuse(title not in titles, f"there is no row {title!r}: choose from {'; '.join(titles)}")

    @property
    def sources(self) -> tuple[Source, ...]:
        """Rows that this corpus can have."""
        return tuple(one for one in SOURCES if one.kind != "oracle" or self.settings.corpus == EMBEDDED)


def table4(job: Table4Benchmark) -> int:
    """Runs what is not done yet, prints the table, and writes it with its figure; returns the exit code."""
    refuse_relative("--out", job.out)
    if job.settings.corpus != EMBEDDED:
        for _, path in split_sources([job.settings.corpus]):
            refuse_relative("--corpus", path or job.settings.corpus)
    console, folders = Console(), Folders.of(job.out, job.out)
    embedder = Embedder(job.backbone, job.settings.audio)
    trials, corpora = {}, _corpora(job, folders, console)
    for seed in job.seeds:
        settings = dataclasses.replace(job.settings, seed=seed)
        for source in job.sources:
            trials[source.title, seed] = Trial(settings, source, corpora[seed], job.judge, embedder, job.count, folders)
    wanted = {key: trial for key, trial in trials.items() if not job.only or key[0] in job.only}
    left = [trial for trial in wanted.values() if trial.result is None]
    console.say(f"table4: {count_of(len(wanted), 'trial')}, {len(left)} left to do")
    _run(job, left, corpora, folders, console)
    rows = [
        Row(source.title, {seed: found for seed in job.seeds if (found := trials[source.title, seed].result)})
        for source in job.sources
    ]
    if not any(row.results for row in rows):
        raise RunFailed("no row could be measured: see above why")
    notes = _notes(job, corpora, embedder, rows)
    print("\n" + printed(rows, notes))
    out = folders.workspace
    write_atomic(out / "table4.json", json.dumps(as_plain(rows, notes), indent=1).encode())
    write_atomic(out / "table4.png", drawn(rows, notes[0]))
    print(f"table {out / 'table4.json'}\nfigure {out / 'table4.png'}")
    return 0


def _run(job: Table4Benchmark, left: list[Trial], corpora: dict[int, Corpus], folders: Folders, console: Console):
    """A seed's yardsticks serve all its rows, and go before the next seed's come."""
    done = 0
    for seed in job.seeds:
        own = [trial for trial in left if trial.settings.seed == seed]
        if not own:
            continue
        yardsticks = Yardsticks(own[0].settings, corpora[seed], job.judge, own[0].embedder, folders)
        for trial in own:
            result, done = trial.run(yardsticks), done + 1
            told = "; ".join(
                f"{protocol} P-Acc {score(found['p_acc'])}, Style-Sim {score(found['style_sim'])}, "
                f"FAD {score(found['fad'], 2)}"
                for protocol, found in result["swaps"].items()
            )
            console.say(f"{done}/{len(left)}  {trial.source.title}, seed {seed}: {told}")


def _corpora(job: Table4Benchmark, folders: Folders, console: Console) -> dict[int, Corpus]:
    """Corpus by seed; real ones are built once."""
    made: dict[int, Corpus] = {}
    for seed in job.seeds:
        if job.settings.corpus != EMBEDDED and made:
            made[seed] = next(iter(made.values()))
            continue
        settings = job.settings
        if settings.corpus == EMBEDDED:
            settings = dataclasses.replace(settings, seed=seed)
        made[seed] = resolve_corpus(settings, folders.corpus(settings), every_label=False)
        console.say(f"corpus {made[seed].path}: {made[seed].describe()}")
    return made


def _notes(job: Table4Benchmark, corpora: dict[int, Corpus], embedder: Embedder, rows: list[Row]) -> list[str]:
    corpus = next(iter(corpora.values()))
    own = job.settings.corpus != EMBEDDED or not job.judge.per_cell
    learned = (
        "the corpus's training split"
        if own
        else f"{job.judge.per_cell} simulated recordings of each label and style, of a seed of their own"
    )
    found = [result for row in rows for result in row.results.values()]
    judge, ear = (mean([result[name] for result in found]) for name in ("judge_accuracy", "ear_accuracy"))
    return [
        f"corpus {job.settings.corpus}: {corpus.describe()}; preset {job.settings.preset}, seeds "
        f"{', '.join(map(str, job.seeds))}; {job.count} clips of each label and style",
        *(f"{protocol}: {meaning}" for protocol, meaning in PROTOCOLS.items()),
        f"backbone: {embedder.name}",
        f"P-Acc: the judge hears only, learned from {learned}, and is right on {judge:.1%} of the test split",
        "Style-Sim: cosine to the mean direction of held-out recordings of the style asked for, and of the others, in "
        "the directions of the backbone that tell styles apart in what the judge learned from; a classifier of styles "
        f"that learned from the same is right on {ear:.1%} of the test split",
        "reference: cosine of plain pooled features to those of the style reference, the paper's Style-Sim",
        "FAD: to the held-out recordings of the same labels, style by style and their mean, extrapolated to endless "
        "sets; of all: styles mixed",
        "leak: the style of the content is heard instead of the one asked for",
        "real recordings: the validation split; vocoder alone: the same, rebuilt from their log-mels; noisy "
        "duplicates: training recordings of the label in another style than asked for, white noise "
        f"{NOISE_DB:g} dB below them",
        "diversity: mean distance within a label and style over that of held-out recordings; nearest: median distance "
        "to the nearest training recording over theirs among each other; memorised: nearer than 99 % of those are",
    ]
