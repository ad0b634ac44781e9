"""Pretrains a stem of the diagnoser without labels: two crops of a recording belong together."""

import dataclasses
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import yaml

from jobs.console import Console
from jobs.exits import run_job
from jobs.options import Flat, parse_job, refuse_disposable, stored_identity
from jobs.training_log import TrainingLog
from resp_agent.corpus.resolve import find_corpus
from resp_agent.curriculum.beacon import Beacon
from resp_agent.curriculum.folders import Folders
from resp_agent.curriculum.journal import BOARD, SETTINGS
from resp_agent.diagnoser.pretraining import STEM, Pretrainer
from resp_agent.durable import write_atomic
from resp_agent.errors import UserError
from resp_agent.settings import PretrainingSettings, Settings, from_plain, to_plain
from resp_agent.storage import fetch, local, shown
from resp_agent.threads import set_threads
from resp_agent.training.checkpoints import read_progress

ENCODER = "encoder"


@dataclass(frozen=True)
class EncoderTraining:
    """Pretrains the audio stem of a diagnoser by contrast, on recordings that need no label: crowdsourced ones, or
    HF_Lung_V1 and SPRSound. Train a diagnoser on it with `--diagnoser.audio-stem` and `--diagnoser.stem-weights`."""

    out: str | None = None
    """Where the stem goes; by default runs/<time>-encoder-<seed>."""
    resume: str | None = None
    """The folder of a pretraining to go on with, from its last checkpoint."""
    first: str | None = None
    """Where built corpora and features are kept and found again; by default in the folder itself."""
    pretraining: PretrainingSettings = field(default_factory=PretrainingSettings)
    settings: Annotated[Settings, Flat] = field(default_factory=Settings)

    @property
    def folder(self) -> Path:
        """Where everything goes."""
        stamp = time.strftime("%Y%m%d-%H%M%S")
        return local(self.resume or self.out or f"runs/{stamp}-encoder-{self.settings.seed}")


def parse(argv: list[str] | None) -> EncoderTraining:
    """A job from the command line; one to be resumed has what it was begun with."""
    job = parse_job(EncoderTraining, "resp-agent train encoder", argv, _begun, identity)
    refuse_disposable(job, job.first)
    return job if job.resume else dataclasses.replace(job, out=shown(job.folder))


def identity(job: EncoderTraining) -> dict:
    """What may not change between the parts of a pretraining."""
    return {"pretraining": to_plain(job.pretraining), "settings": to_plain(job.settings)}


def pretrain(job: EncoderTraining) -> Path:
    """Pretrains, or goes on with it, and returns the file of the stem's weights."""
    console, folder = Console(), job.folder.resolve()
    encoder = folder / ENCODER
    if read_progress(encoder) is not None:
        console.say(f"this pretraining is complete: {shown(encoder / STEM)}")
        return encoder / STEM
    if not job.resume and fetch(folder / SETTINGS).exists():
        place = shown(folder)
        raise UserError(f"{place} holds a run already: go on with it by --resume {place}, or give another --out")
    console.say(f"training directory {shown(folder)}")
    write_atomic(folder / SETTINGS, yaml.safe_dump(identity(job) | {"first": job.first}, sort_keys=False).encode())
    set_threads(job.settings.threads)
    folders = Folders.of(folder, job.first)
    corpus = find_corpus(job.settings, folders.corpus(job.settings))
    beacon = Beacon(folders.progress, "encoder-0")
    trainer = Pretrainer(job.settings, job.pretraining, corpus.path, beacon, folders.features)
    splits = ", ".join(job.pretraining.splits)
    console.say(f"pretraining a {job.settings.diagnoser.audio_stem} stem on {trainer.recordings} recordings ({splits})")
    log = TrainingLog(folder / BOARD, job.pretraining.training.steps, console.say)
    trainer.train(encoder, log)
    log.close()
    diagnoser = job.settings.diagnoser
    console.say(f"stem {shown(encoder / STEM)}")
    console.say(
        f"use it: resp-agent train diagnoser --diagnoser.audio-stem {diagnoser.audio_stem} --diagnoser.stem-weights "
        f"{shown(encoder / STEM)}"
    )
    return encoder / STEM


def _begun(folder: Path) -> EncoderTraining:
    stored = stored_identity(folder)
    if "pretraining" not in stored:
        raise UserError(f"{shown(folder)} holds a run of another kind, not a pretraining: give the folder of one")
    return EncoderTraining(
        resume=shown(folder),
        first=stored.get("first"),
        pretraining=from_plain(stored["pretraining"], PretrainingSettings()),
        settings=from_plain(stored["settings"]),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """`resp-agent train encoder` and `python -m jobs.train_encoder`; returns the exit code."""
    return run_job(lambda words: pretrain(parse(words)) and 0, argv)


if __name__ == "__main__":
    sys.exit(main())
