"""The command line of `synthesize`: what is asked for, of which generator, and where it runs."""

import dataclasses
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from jobs.options import Flat, stored_identity, value_of
from jobs.submitted import refuse_relative
from resp_agent.corpus.resolve import EMBEDDED, split_sources
from resp_agent.curriculum.journal import SETTINGS
from resp_agent.curriculum.request import LONGEST_S, SHORTEST_S, Request
from resp_agent.errors import UserError
from resp_agent.generator.export import Export
from resp_agent.generator.plan_file import read_plan
from resp_agent.randomness import seed_of
from resp_agent.settings import Settings, from_plain, preset
from resp_agent.settings.checks import refuse
from resp_agent.storage import fetch, local, shown


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
    count: int | None = None
    """Clips of that label in that style; by default 1."""
    plan: str | None = None
    """A CSV with the columns label, style, count and, if need be, content, duration_s, hardness and seed: a request in
    each row, in place of --label, --style, --count, --duration-s and --hardness."""
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
    """Where a built corpus and the generator are kept and found again; by default in --out, or where the run of
    --trained has them."""
    export: Export = "none"
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
        refuse(not self.gpus >= 0, f"a worker cannot reserve {self.gpus} GPUs: give --gpus at least 0")
        refuse(
            self.where == "local" and self.workers > 1,
            f"in this process there is one worker, not {self.workers}: leave out --workers, or --where local",
        )
        single = self.label is not None or self.style is not None
        refuse(bool(self.plan) and single, "a plan names labels and styles itself: leave out --label and --style")
        refuse(
            bool(self.plan) and (self.count is not None or self.duration_s is not None or self.hardness != 0),
            "a plan says how many clips, how long and how hard in its rows: leave out --count, --duration-s and "
            "--hardness",
        )
        refuse(not self.plan and not single, "nothing is asked for: give --label and --style, or --plan")
        refuse(
            not self.plan and (self.label is None or self.style is None),
            "a clip has a label and a style: give both --label and --style",
        )
        refuse(self.count is not None and self.count < 1, f"{self.count} clips are none: give --count at least 1")
        refuse(
            self.duration_s is not None and not SHORTEST_S <= self.duration_s <= LONGEST_S,
            f"clips of {self.duration_s} s cannot be made: give --duration-s {SHORTEST_S:g} to {LONGEST_S:g}",
        )
        refuse(not 0 <= self.hardness <= 1, f"a hardness of {self.hardness} cannot be: give --hardness 0 to 1")

    def requests(self) -> list[Request]:
        """What is asked for.

        Raises:
            UserError: the plan is wrong.
        """
        content = self.content or self.settings.generator.content
        if self.plan:
            return read_plan(fetch(local(self.plan)), content, self.draw)
        seed = seed_of(self.draw, "plan", 0)
        return [Request(self.label, self.style, self.count or 1, seed, content, self.hardness, self.duration_s)]


def parse(argv: list[str] | None) -> SynthesisJob:
    """A job from the command line. With --trained, settings are those of that run.

    Raises:
        UserError: a value is none that a job can have, or a setting is not the run's.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    trained = value_of("--trained", argv)
    stored = _begun(local(trained)) if trained else None
    settings = from_plain(stored["settings"]) if stored else preset(value_of("--preset", argv) or "tiny")
    config = (tyro.conf.OmitSubcommandPrefixes,)
    default = _unasked(settings)
    job = tyro.cli(SynthesisJob, args=argv, default=default, prog="resp-agent synthesize", config=config)
    if stored:
        if job.settings != settings:
            raise UserError(f"a setting differs from those of {trained}: leave it out, or leave out --trained")
        first = job.first or stored.get("first") or shown(local(trained).resolve() / "first")
        job = dataclasses.replace(job, first=first)
    for flag, path in (("--out", job.out), ("--plan", job.plan), ("--trained", job.trained), ("--first", job.first)):
        if path:
            refuse_relative(flag, path)
    if job.settings.corpus != EMBEDDED:
        for _, path in split_sources([job.settings.corpus]):
            refuse_relative("--corpus", path or job.settings.corpus)
    return job


def _begun(folder: Path) -> dict:
    if not fetch(folder / SETTINGS).is_file():
        raise UserError(
            f"{shown(folder)} holds no run: give the folder of a `train generator` or of a curriculum run, or leave "
            "out --trained to train a generator first"
        )
    return stored_identity(folder)


def _unasked(settings: Settings) -> SynthesisJob:
    """What flags change; by itself it asks for nothing, which a job cannot."""
    default = object.__new__(SynthesisJob)
    for entry in dataclasses.fields(SynthesisJob):
        value = entry.default if entry.default is not dataclasses.MISSING else tyro.MISSING
        object.__setattr__(default, entry.name, settings if entry.name == "settings" else value)
    return default
