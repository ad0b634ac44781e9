"""The pointing game on a corpus with marked events: is the moment that a phrase points at an event?"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

from jobs.console import Console
from jobs.options import Flat
from jobs.submitted import refuse_relative
from jobs.train_grounding import check_places, learn, prepare
from jobs.written import written
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.resolve import resolve_corpus
from resp_agent.curriculum.beacon import Beacon
from resp_agent.curriculum.folders import Folders
from resp_agent.diagnoser.grounding_evaluation import SoundScore, events_of, point
from resp_agent.diagnoser.learner import Learner
from resp_agent.durable import write_atomic
from resp_agent.encoders.cache import open_cache
from resp_agent.errors import UserError
from resp_agent.metrics.pointing import TOLERANCE_S, Pointed
from resp_agent.randomness import stream
from resp_agent.report.terminal import text_table, wrapped
from resp_agent.settings import Settings
from resp_agent.settings.checks import refuse
from resp_agent.settings.grounding import GroundingSettings
from resp_agent.storage import local
from resp_agent.training.checkpoints import read_progress

DRAWN = ("crackles", "wheezes")
"""Sounds whose recordings are drawn first."""


@dataclass(frozen=True)
class GroundingBenchmark:
    """Trains a grounder on a corpus whose events are marked, and plays the pointing game on its test split: a hit is a
    recording whose most relevant moment lies within 80 ms of an event. Beside it stand chance, and the gradient of a
    diagnoser that was told of no event time. A benchmark that was killed goes on by the same command."""

    out: str | None = None
    """Where models, figures and results go; by default runs/grounding-<seed>."""
    diagnoser: str | None = None
    """A trained diagnoser to start from and to compare with; by default one is trained."""
    first: str | None = None
    """Where built corpora, features and first-trained diagnosers are kept and found again; by default in the folder."""
    json: str | None = None
    """A file for the figures of the table, as plain data."""
    figures: int = 6
    """Recordings of the test split that are drawn, with crackles and wheezes in turn."""
    settings: Annotated[Settings, Flat] = field(default_factory=Settings)
    grounding: GroundingSettings = field(default_factory=GroundingSettings)

    resume = None
    """No flag: the same command goes on."""

    def __post_init__(self):
        refuse(self.figures < 0, f"{self.figures} figures cannot be drawn: give --figures at least 0")

    @property
    def folder(self) -> Path:
        """Where everything goes."""
        return local(self.out or f"runs/grounding-{self.settings.seed}")


def grounding(job: GroundingBenchmark) -> int:
    """Trains what is not there, plays, prints the table, and writes figures and data."""
    check_places(job)
    if job.json:
        refuse_relative("--json", job.json)
    console, seconds = Console(), {}
    settings, folders, diagnoser = prepare(job)
    corpus = resolve_corpus(settings, folders.corpus(job.settings))
    console.say(f"corpus of {corpus.describe()}")
    seconds["corpus"] = console.elapsed_s
    if diagnoser is None:
        diagnoser = _first_trained(settings, corpus, folders, console)
    seconds["diagnoser"] = console.elapsed_s - sum(seconds.values())
    cache = open_cache(folders.features, settings.diagnoser.encoder, settings.audio)
    found = learn(job, settings, corpus, cache, diagnoser, console)
    seconds["grounder"] = console.elapsed_s - sum(seconds.values())
    scores = point(found, corpus, "test", cache, diagnoser)
    if not scores:
        raise UserError(
            f"no test recording of {job.settings.corpus!r} has an event of a kind that training held: "
            "give a corpus with marked events in both splits"
        )
    seconds["pointing"] = console.elapsed_s - sum(seconds.values())
    for line in _printed(job, corpus, scores):
        print(line)
    drawn = _draw(job, corpus, scores)
    seconds["figures"] = console.elapsed_s - sum(seconds.values())
    console.say(f"{len(drawn)} figures in {(job.folder / 'figures').resolve()}")
    if job.json:
        console.say(written(job.json, _plain(job, corpus, scores, seconds)))
    return 0


def _first_trained(settings: Settings, corpus: Corpus, folders: Folders, console: Console) -> Path:
    checkpoint = folders.diagnoser(settings, corpus)
    if read_progress(checkpoint) is None:
        console.say(f"training the diagnoser, {settings.diagnoser.training.steps} steps")
        Learner(settings, corpus.path, Beacon(folders.progress, "diagnoser-0"), folders.features).first_train(
            str(checkpoint)
        )
    return checkpoint


def _printed(job: GroundingBenchmark, corpus: Corpus, scores: Sequence[SoundScore]) -> list[str]:
    head = ("sound", "recordings", "hit", "95 %", "chance", "AP", "in events", "no event times")
    rows = []
    for score in scores:
        found = score.grounder
        rows.append(
            (
                score.sound.name,
                str(found.recordings),
                f"{found.hit:.3f}",
                f"{found.interval[0]:.3f}-{found.interval[1]:.3f}",
                f"{found.chance:.3f}",
                f"{found.average_precision:.3f}",
                f"{found.prevalence:.3f}",
                f"{score.diagnoser.hit:.3f}" if score.diagnoser else "-",
            )
        )
    notes = (
        f"hit: share of test recordings with the sound whose most relevant moment lies within {TOLERANCE_S * 1000:.0f} "
        "ms of an event of it; 95 %: Wilson, a trial being a patient; chance: the same for a moment drawn evenly from "
        "the anchors of each recording.",
        "AP: average precision of single anchors over all test recordings; in events: share of anchors in an event, "
        "which is the AP of a relevance that says nothing.",
        "no event times: hit of the diagnoser's gradient for the labels that go with the sound.",
    )
    title = f"Pointing game on the test split of {job.settings.corpus} (seed {job.settings.seed}):"
    return ["", title, "", *text_table(head, rows, texts=1), "", *map(wrapped, notes), ""]


def _draw(job: GroundingBenchmark, corpus: Corpus, scores: Sequence[SoundScore]) -> list[Path]:
    # Imported when needed: drawing costs a second.
    from resp_agent.report.grounding_figures import grounding_figure, pointing_figure
    from resp_agent.report.style import LIGHT

    folder, recordings = job.folder / "figures", corpus.descriptions("test")
    rows = [(score.sound.name, score.grounder, score.diagnoser) for score in scores]
    pictures = {"pointing.png": pointing_figure(rows, f"Pointing game, {job.settings.corpus}, test split", LIGHT)}
    chosen = _chosen(job, scores, [[bool(events_of(score.sound, one)) for one in recordings] for score in scores])
    waveforms = dict(corpus.waveforms("test", {recordings[at].id for _, at in chosen}))
    for number, (score, at) in enumerate(chosen, start=1):
        one = recordings[at]
        title = f"{score.sound.name}: {one.label}, {one.style}"
        name = f"{number:02d}-{score.sound.name.replace(' ', '-')}-{one.id[:8]}.png"
        events = events_of(score.sound, one)
        pictures[name] = grounding_figure(waveforms[one.id], score.relevance[at], events, title, LIGHT)
    for name, picture in pictures.items():
        write_atomic(folder / name, picture)
    return [folder / name for name in pictures]


def _chosen(
    job: GroundingBenchmark, scores: Sequence[SoundScore], holds: Sequence[Sequence[bool]]
) -> list[tuple[SoundScore, int]]:
    """Recordings to draw, drawn blindly among those that hold a sound: `DRAWN` in turn, or any sound without them."""
    pools = [(score, held) for score, held in zip(scores, holds, strict=True) if score.sound.name in DRAWN]
    pools = pools or list(zip(scores, holds, strict=True))
    rng, found = stream(job.settings.seed, "grounding", "figures"), []
    orders = [list(rng.permutation([at for at, one in enumerate(held) if one])) for _, held in pools]
    while len(found) < job.figures and any(orders):
        for (score, _), order in zip(pools, orders, strict=True):
            if order and len(found) < job.figures:
                found.append((score, int(order.pop())))
    return found


def _plain(job: GroundingBenchmark, corpus: Corpus, scores: Sequence[SoundScore], seconds: dict[str, float]) -> dict:
    return {
        "corpus": job.settings.corpus,
        "fingerprint": corpus.fingerprint,
        "seed": job.settings.seed,
        "tolerance_s": TOLERANCE_S,
        "sounds": {
            score.sound.name: _figures(score.grounder)
            | {"kinds": list(score.sound.kinds)}
            | ({"without_event_times": _figures(score.diagnoser)} if score.diagnoser else {})
            for score in scores
        },
        "seconds": {phase: round(value, 1) for phase, value in seconds.items()},
    }


def _figures(found: Pointed) -> dict:
    """Plain data; what is not a number becomes None, which JSON can say."""
    plain = asdict(found) | {"interval": list(found.interval)}
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in plain.items()}
