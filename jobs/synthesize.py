"""Makes clips: of one label in one style, or as a plan asks for; in this process or on Ray Data."""

import dataclasses
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from jobs.console import Console
from jobs.exits import run_job
from jobs.options import Flat, stored_identity, value_of
from jobs.submitted import refuse_relative
from resp_agent.corpus.bulk import in_threads
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.resolve import EMBEDDED, resolve_corpus, split_sources
from resp_agent.curriculum.beacon import Beacon
from resp_agent.curriculum.folders import Folders
from resp_agent.curriculum.request import LONGEST_S, SHORTEST_S, Request
from resp_agent.diagnoser.stored import find_diagnoser
from resp_agent.durable import write_atomic
from resp_agent.errors import UserError
from resp_agent.generator.bulk import Synthesis, write_part
from resp_agent.generator.plan_file import in_parts, read_plan, refuse_unknown
from resp_agent.generator.synthesizer import MOST_AT_ONCE
from resp_agent.generator.synthetic_set import Made, write_set
from resp_agent.generator.training import generator_fingerprint, is_trained, train_generator
from resp_agent.randomness import seed_of
from resp_agent.settings import Settings, from_plain, preset, to_plain
from resp_agent.settings.checks import refuse
from resp_agent.threads import set_threads

REQUESTS, PARTS = "requests.json", "parts"
TELL_EVERY_S = 2.0


@dataclass(frozen=True)
class SynthesisJob:
    """Makes clips with a generator: of one label in one style, or of everything that a plan lists. The generator is
    that of a run (--trained), or it is trained first. The same command completes what a killed one left."""

    out: str
    """Folder for the clips: `synthetic/*.parquet` with their requests and seeds, an index, a data card."""
    label: str | None = None
    """What is to be heard."""
    style: str | None = None
    """How it is to sound: a name of the corpus, such as that of a device."""
    count: int = 1
    """Clips of that label in that style."""
    plan: str | None = None
    """A CSV with the columns label, style, count and, if need be, content, duration_s, hardness and seed: a request in
    each row, in place of --label, --style and --count."""
    content: Literal["planned", "exemplar"] | None = None
    """Where contents come from; by default as the generator was trained for."""
    duration_s: float | None = None
    """Seconds of each clip, 0.5 to 60; by default as long as the generator learned."""
    hardness: float = 0.0
    """0 to 1: how strongly clips are pulled to where --diagnoser is unsure."""
    diagnoser: str | None = None
    """The diagnoser that clips of some hardness are hard for."""
    draw: int = 0
    """Another number draws other clips."""
    trained: str | None = None
    """The folder of a `train generator` or of a curriculum run, whose generator is used, with its settings."""
    first: str | None = None
    """Without --trained: where a built corpus and the generator are kept and found again; by default in --out."""
    export: Literal["none", "flac", "wav"] = "none"
    """Files to listen to, beside the Parquet: `clips/<label>/<style>/<clip id>`."""
    where: Literal["ray", "local"] = "ray"
    """Workers on Ray Data, or one in this process."""
    workers: int = 1
    """Workers on Ray Data. Clips do not depend on how many there are."""
    cpus: float = 1.0
    """CPUs that a worker reserves on Ray."""
    gpus: float = 0.0
    """GPUs that a worker reserves on Ray."""
    settings: Annotated[Settings, Flat] = field(default_factory=Settings)

    def __post_init__(self):
        refuse(self.workers < 1, f"{self.workers} workers make nothing: give --workers at least 1")
        refuse(not self.cpus > 0, f"a worker cannot reserve {self.cpus} CPUs: give --cpus above 0")
        refuse(
            self.where == "local" and self.workers > 1,
            f"in this process there is one worker, not {self.workers}: leave out --workers, or --where local",
        )
        single = self.label is not None or self.style is not None
        refuse(bool(self.plan) and single, "a plan names labels and styles itself: leave out --label and --style")
        refuse(not self.plan and not single, "nothing is asked for: give --label and --style, or --plan")
        refuse(
            not self.plan and (self.label is None or self.style is None),
            "a clip has a label and a style: give both --label and --style",
        )
        refuse(self.count < 1, f"{self.count} clips are none: give --count at least 1")
        refuse(
            self.duration_s is not None and not SHORTEST_S <= self.duration_s <= LONGEST_S,
            f"clips of {self.duration_s} s cannot be made: give --duration-s {SHORTEST_S:g} to {LONGEST_S:g}",
        )
        refuse(not 0 <= self.hardness <= 1, f"a hardness of {self.hardness} is outside 0 to 1")

    def requests(self) -> list[Request]:
        """What is asked for.

        Raises:
            UserError: the plan is wrong.
        """
        content = self.content or self.settings.generator.content
        if self.plan:
            return read_plan(Path(self.plan), content, self.draw)
        seed = seed_of(self.draw, "plan", 0)
        return [Request(self.label, self.style, self.count, seed, content, self.hardness, self.duration_s)]


def synthesize(job: SynthesisJob) -> Path:
    """Makes what is not there yet, and returns the folder of the set.

    Raises:
        UserError: something given cannot be used.
        RunFailed: clips cannot be made or written; those that were made stay.
    """
    console, out, settings = Console(), Path(job.out).resolve(), job.settings
    folders = Folders.of(out, job.first)
    requests = job.requests()
    diagnoser = _diagnoser(job, requests)
    corpus = resolve_corpus(settings, folders.corpus(settings))
    train = corpus.split("train")
    refuse_unknown(requests, sorted({one.label for one in train}), sorted({one.style for one in train}))
    _refuse_plans_without_planner(settings, requests)
    folder = folders.generator(settings, corpus)
    _begin(out, job, corpus, requests)
    if not is_trained(folder):
        console.say(f"training the generator on {corpus.describe()}")
        with console.watching(folders.progress):
            set_threads(settings.threads)
            train_generator(settings, train, folder, Beacon(folders.progress, "generator-0"))
    parts = in_parts(requests, MOST_AT_ONCE)
    files = [write_part(out / PARTS, number, part) for number, part in enumerate(parts)]
    work = Synthesis.of(settings, corpus.path, folder, out, diagnoser)
    fingerprint = generator_fingerprint(settings, train)
    left = [file for file, part in zip(files, parts, strict=True) if not _shard(out, part, fingerprint).is_file()]
    total = sum(part.count for part in parts)
    made = total - sum(json.loads(file.read_text())["count"] for file in left)
    console.say(f"{total:,} clips in {len(parts)} parts" + (f", {made:,} are there already" if made else ""))
    _make(job, work, left, made, total, console)
    shards = [_shard(out, part, fingerprint) for part in parts]
    write_set(out, Made(settings, corpus, fingerprint, requests, shards), job.export)
    console.say(f"clips {out / 'synthetic'}\ndata card {out / 'README.md'}\nindex {out / 'index.csv'}")
    return out


def _make(job: SynthesisJob, work: Synthesis, left: Sequence[Path], made: int, total: int, console: Console) -> None:
    """Does the parts that are left and tells how far it is; what the start takes is told apart."""
    if not left:
        return
    began = told = time.monotonic()
    first = first_s = None
    for count in _placed(job)(work, left):
        now, made = time.monotonic(), made + count
        if first is None:
            first, first_s = made, now
            console.say(f"the first part took {now - began:.1f} s, with the start of workers")
        if made == total or now - told >= TELL_EVERY_S:
            told = now
            rate = (made - first) / (now - first_s) if now > first_s else 0.0
            more = f", {rate:.1f} a second, {(total - made) / rate:.0f} s left" if rate else ""
            console.say(f"{made:,} of {total:,} clips{more}")


def _placed(job: SynthesisJob):
    if job.where == "local":
        return in_threads()
    # Imported when needed: what is refused before any work knows no Ray.
    from jobs.bulk import on_ray

    def run(work: Synthesis, parts: Sequence[Path]) -> Iterator[int]:
        return on_ray(job.workers, job.cpus, job.gpus)(work, parts)

    return run


def _shard(out: Path, part: Request, fingerprint: str) -> Path:
    return out / "synthetic" / f"{part.name(fingerprint)}.parquet"


def _diagnoser(job: SynthesisJob, requests: Sequence[Request]) -> Path | None:
    """The diagnoser that hard clips are for, where any are asked for."""
    if all(request.hardness == 0 for request in requests):
        return None
    if not job.diagnoser:
        raise UserError("clips of some hardness are hard for a diagnoser: give --diagnoser, or a hardness of 0")
    return find_diagnoser(Path(job.diagnoser).resolve())


def _refuse_plans_without_planner(settings: Settings, requests: Sequence[Request]) -> None:
    if settings.generator.content != "planned" and any(request.content == "planned" for request in requests):
        raise UserError(
            "this generator was trained for exemplar content and has no planner: ask for exemplar content, or train "
            "one with --generator.content planned"
        )


def _begin(out: Path, job: SynthesisJob, corpus: Corpus, requests: Sequence[Request]) -> None:
    """Notes what the set is, or refuses to mix it with another."""
    asked = {
        "settings": to_plain(job.settings),
        "corpus": corpus.fingerprint,
        "requests": [dataclasses.asdict(request) for request in requests],
    }
    path = out / REQUESTS
    try:
        if path.is_file() and json.loads(path.read_text()) != asked:
            raise UserError(f"{out} holds another set of clips: give another --out, or the command it was made by")
        write_atomic(path, json.dumps(asked, indent=1).encode())
    except OSError as problem:
        raise UserError(f"{out} cannot be written ({problem.strerror or problem}): give another --out") from problem


def parse(argv: list[str] | None) -> SynthesisJob:
    """A job from the command line. With --trained, settings are those of that run.

    Raises:
        UserError: a value is none that a job can have, or a setting is not the run's.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    trained = value_of("--trained", argv)
    stored = stored_identity(Path(trained)) if trained else None
    settings = from_plain(stored["settings"]) if stored else preset(value_of("--preset", argv) or "tiny")
    config = (tyro.conf.OmitSubcommandPrefixes,)
    default = _unasked(settings)
    job = tyro.cli(SynthesisJob, args=argv, default=default, prog="resp-agent synthesize", config=config)
    if stored:
        if job.settings != settings:
            raise UserError(f"a setting differs from those of {trained}: leave it out, or leave out --trained")
        first = stored.get("first") or str(Path(trained).resolve())
        job = dataclasses.replace(job, first=first)
    for flag, path in (("--out", job.out), ("--plan", job.plan), ("--trained", job.trained), ("--first", job.first)):
        if path:
            refuse_relative(flag, path)
    if job.settings.corpus != EMBEDDED:
        for _, path in split_sources([job.settings.corpus]):
            refuse_relative("--corpus", path or job.settings.corpus)
    return job


def _unasked(settings: Settings) -> SynthesisJob:
    """What flags change; by itself it asks for nothing, which a job cannot."""
    default = object.__new__(SynthesisJob)
    for entry in dataclasses.fields(SynthesisJob):
        value = entry.default if entry.default is not dataclasses.MISSING else tyro.MISSING
        object.__setattr__(default, entry.name, settings if entry.name == "settings" else value)
    return default


def main(argv: Sequence[str] | None = None) -> int:
    """`resp-agent synthesize` and `python -m jobs.synthesize`; returns the exit code."""
    return run_job(lambda words: synthesize(parse(words)) and 0, argv)


if __name__ == "__main__":
    sys.exit(main())
