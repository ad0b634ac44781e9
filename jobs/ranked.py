"""What trainings on ranks share: their flags, their folder, and how they are begun and gone on with."""

import dataclasses
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeVar

from jobs.console import Console
from jobs.options import Flat, parse_job, refuse_disposable, stored_identity
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.resolve import resolve_corpus
from resp_agent.curriculum.folders import Folders
from resp_agent.curriculum.journal import SETTINGS, RunDirectory
from resp_agent.errors import UserError
from resp_agent.settings import Settings, TrainingSettings, from_plain, to_plain
from resp_agent.settings.checks import refuse
from resp_agent.storage import absolute, fetch, local, shown


@dataclass(frozen=True)
class RankedTraining:
    """A training whose ranks are on Ray Train, or one rank in this process."""

    WHAT: ClassVar[str]
    """What is trained."""

    out: str | None = None
    """Where everything about the training goes; by default runs/<time>-<what is trained>-<seed>."""
    resume: str | None = None
    """The folder of a training to go on with, from its last checkpoint."""
    first: str | None = None
    """Where built corpora, features and the training's checkpoints are kept and found again; by default in the folder
    itself. A curriculum with the same settings that is given it too starts from what was trained here."""
    lab: Literal["ray", "local"] = "ray"
    """`ray`: Ray Train on a cluster or a local Ray that starts by itself; `local`: one rank in this process."""
    workers: int = 1
    """Ranks that share every batch."""
    cpus: float = 0.5
    """CPUs reserved for a rank. Threads are set apart, by `threads`."""
    gpus: float = 0.0
    """GPUs reserved for a rank."""
    restarts: int = 3
    """Times that the ranks are started again, from the last checkpoint, when one has failed."""
    placement_timeout_s: float = 120.0
    """Ranks that cannot be placed within this say which resource is short, and the job stops."""
    settings: Annotated[Settings, Flat] = field(default_factory=Settings)

    def refuse_ranks(self, trainings: dict[str, TrainingSettings]) -> None:
        """Refuses ranks that cannot train; `trainings` are told by the flags that set them.

        Raises:
            UserError: the sentence says which flag to change.
        """
        refuse(self.workers < 1, f"{self.workers} workers train nothing: give --workers at least 1")
        refuse(self.restarts < 0, f"{self.restarts} restarts cannot be: give --restarts at least 0")
        refuse(
            self.lab == "local" and self.workers > 1,
            f"in this process there is one rank, not {self.workers}: leave out --workers, or --lab local",
        )
        for flag, training in trainings.items():
            refuse(
                training.batch % (self.workers * training.accumulation) != 0,
                f"the batch of {training.batch} does not divide over {self.workers} workers x "
                f"{training.accumulation} micro-batches: change {flag}.batch or --workers",
            )

    @property
    def folder(self) -> Path:
        """Where everything goes."""
        stamp = time.strftime("%Y%m%d-%H%M%S")
        return local(self.resume or self.out or f"runs/{stamp}-{self.WHAT}-{self.settings.seed}")


Training = TypeVar("Training", bound=RankedTraining)


def parse(kind: type[Training], argv: list[str] | None) -> Training:
    """A job from the command line; one to be resumed has what it was begun with."""
    job = parse_job(kind, f"resp-agent train {kind.WHAT}", argv, lambda folder: _begun(kind, folder), identity)
    refuse_disposable(job, job.first)
    return job if job.resume else dataclasses.replace(job, out=shown(job.folder))


def identity(job: RankedTraining) -> dict:
    """What may not change between the parts of a training."""
    return {"trains": job.WHAT, "workers": job.workers, "settings": to_plain(job.settings)}


def open_training(job: RankedTraining) -> RunDirectory:
    """The folder of a training: a new one, or the one to go on with.

    Raises:
        UserError: it holds a run already, or none to go on with.
    """
    if job.resume:
        return RunDirectory.resume(job.folder)
    if fetch(job.folder / SETTINGS).exists():
        place = shown(job.folder)
        raise UserError(f"{place} holds a run already: go on with it by --resume {place}, or give another --out")
    return RunDirectory.create(job.folder, identity(job) | {"first": job.first and absolute(job.first)})


def prepare(job: RankedTraining, run: RunDirectory, console: Console) -> tuple[Folders, Corpus]:
    """Where the training's parts lie, and the corpus that it learns from; a lost cluster is told before any work.

    Raises:
        UserError: the corpus cannot be used, or is not the one that the training was begun on.
    """
    console.say(f"training directory {shown(run.path.resolve())}")
    if job.lab == "ray":
        # Imported when needed: one process knows no Ray.
        from actors.cluster import knock

        knock()
    folders = Folders.of(job.folder, job.first, job.workers)
    corpus = resolve_corpus(job.settings, folders.corpus(job.settings))
    run.hold_to_corpus(corpus.fingerprint)
    return folders, corpus


def completed(run: RunDirectory, console: Console) -> dict | None:
    """The summary of a training that is complete, which is said; None of one that is not."""
    summary = run.summary()
    if summary:
        console.say(f"this training is complete: {shown((run.path / 'summary.json').resolve())}")
    return summary


def _begun(kind: type[Training], folder: Path) -> Training:
    stored = stored_identity(folder)
    trains = stored.get("trains")
    if trains != kind.WHAT:
        verb = f"train {trains}" if trains else "curriculum"
        raise UserError(f"{shown(folder)} holds a run of another kind: go on with it by `resp-agent {verb} --resume`")
    return kind(
        resume=shown(folder),
        first=stored.get("first"),
        workers=stored["workers"],
        settings=from_plain(stored["settings"]),
    )
