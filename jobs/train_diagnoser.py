"""Trains a diagnoser: ranks on Ray Train, or one in this process, and the score of what they came to."""

import dataclasses
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from jobs.console import Console
from jobs.exits import run_job
from jobs.options import Flat, parse_job, refuse_disposable, stored_identity
from jobs.training_log import TrainingLog
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.resolve import resolve_corpus
from resp_agent.curriculum.beacon import Beacon
from resp_agent.curriculum.folders import Folders
from resp_agent.curriculum.journal import SETTINGS, RunDirectory
from resp_agent.diagnoser.evaluation import Evaluation, evaluate
from resp_agent.diagnoser.learner import Learner
from resp_agent.diagnoser.stored import export
from resp_agent.diagnoser.systems import check_system
from resp_agent.errors import UserError
from resp_agent.report.figures import confusion_figure
from resp_agent.report.style import LIGHT
from resp_agent.settings import Settings, from_plain, to_plain
from resp_agent.settings.checks import refuse
from resp_agent.threads import set_threads
from resp_agent.training.checkpoints import read_progress

MODEL, BOARD = "model", "tensorboard"


@dataclass(frozen=True)
class DiagnoserTraining:
    """Trains a diagnoser on a corpus, and scores it once on the test split.

    With --diagnoser.training.validate-every the weights that are best by macro-F1 on validation are kept; with
    --diagnoser.training.patience training stops where they no longer get better."""

    out: str | None = None
    """Where the diagnoser and everything about it goes; by default runs/<time>-diagnoser-<seed>."""
    resume: str | None = None
    """The folder of a training to go on with, from its last checkpoint."""
    first: str | None = None
    """Where built corpora, features and the training's checkpoints are kept and found again; by default in the folder
    itself. A curriculum with the same settings that is given it too starts from this diagnoser."""
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

    def __post_init__(self):
        training = self.settings.diagnoser.training
        check_system(self.settings.diagnoser.system)
        refuse(self.workers < 1, f"{self.workers} workers train nothing: give --workers at least 1")
        refuse(self.restarts < 0, f"{self.restarts} restarts cannot be: give --restarts at least 0")
        refuse(
            self.lab == "local" and self.workers > 1,
            f"in this process there is one rank, not {self.workers}: leave out --workers, or --lab local",
        )
        refuse(
            training.batch % (self.workers * training.accumulation) != 0,
            f"the batch of {training.batch} does not divide over {self.workers} workers x {training.accumulation} "
            "micro-batches: change --diagnoser.training.batch or --workers",
        )

    @property
    def folder(self) -> Path:
        """Where everything goes."""
        stamp = time.strftime("%Y%m%d-%H%M%S")
        return Path(self.resume or self.out or f"runs/{stamp}-diagnoser-{self.settings.seed}")


def parse(argv: list[str] | None) -> DiagnoserTraining:
    """A job from the command line; one to be resumed has what it was begun with."""
    job = parse_job(DiagnoserTraining, "resp-agent train diagnoser", argv, _begun, identity)
    refuse_disposable(job, job.first)
    return job if job.resume else dataclasses.replace(job, out=str(job.folder))


def identity(job: DiagnoserTraining) -> dict:
    """What may not change between the parts of a training."""
    return {"workers": job.workers, "settings": to_plain(job.settings)}


def train(job: DiagnoserTraining) -> dict:
    """Trains, or goes on with it, and returns the summary.

    Raises:
        UserError: something given cannot be used.
        RunFailed: the training cannot go on; its last checkpoint is kept.
    """
    console, run, settings = Console(), _open(job), job.settings
    if run.summary():
        console.say(f"this training is complete: {(run.path / 'summary.json').resolve()}")
        return run.summary()
    console.say(f"training directory {run.path.resolve()}")
    if job.lab == "ray":
        # Imported when needed: one process knows no Ray.
        from actors.cluster import knock

        knock()
    folders = Folders.of(job.folder, job.first, job.workers)
    corpus = resolve_corpus(settings, folders.corpus(settings))
    run.hold_to_corpus(corpus.fingerprint)
    checkpoint = folders.diagnoser(settings, corpus)
    if read_progress(checkpoint) is None:
        console.say(f"training {settings.diagnoser.system} on {corpus.describe()}; {job.workers} x {job.lab}")
        (_on_ray if job.lab == "ray" else _here)(job, corpus, folders, checkpoint, console)
    trained_s = console.elapsed_s
    export(checkpoint, run.path / MODEL)
    return _finish(job, run, corpus, folders, checkpoint, console, trained_s)


def _here(job: DiagnoserTraining, corpus: Corpus, folders: Folders, checkpoint: Path, console: Console) -> None:
    set_threads(job.settings.threads)
    learner = Learner(job.settings, corpus.path, Beacon(folders.progress, "diagnoser-0"), folders.features)
    log = TrainingLog(job.folder / BOARD, job.settings.diagnoser.training.steps, console.say)
    learner.first_train(str(checkpoint), log)
    log.close()


def _on_ray(job: DiagnoserTraining, corpus: Corpus, folders: Folders, checkpoint: Path, console: Console) -> None:
    from jobs.ray_training import Ranks, train_on_ray

    ranks = Ranks(job.workers, job.cpus, job.gpus, job.restarts, job.placement_timeout_s)
    train_on_ray(job.settings, corpus.path, folders, checkpoint, folders.workspace / BOARD, ranks, console.say)


def _finish(
    job: DiagnoserTraining,
    run: RunDirectory,
    corpus: Corpus,
    folders: Folders,
    checkpoint: Path,
    console: Console,
    trained_s: float,
) -> dict:
    progress = read_progress(checkpoint)
    valid, test = (evaluate(run.path / MODEL, corpus, split, folders.features) for split in ("valid", "test"))
    summary = {
        "model": str((run.path / MODEL).resolve()),
        "system": job.settings.diagnoser.system,
        "seed": job.settings.seed,
        "workers": job.workers,
        "step": progress["step"],
        "steps_done": len(progress["losses"]),
        "looks": progress.get("looks", []),
        "losses": progress["losses"],
        "valid": valid.plain,
        "test": test.plain,
        "corpus": corpus.fingerprint,
        "notes": list(corpus.notes),
        "seconds": {"training": round(trained_s, 1), "all": round(console.elapsed_s, 1)},
    }
    figure = confusion_figure(test.assessment, "Confusion on the test split", LIGHT)
    run.finish({"figures/confusion-test.png": figure}, summary)
    console.say(f"the weights of step {progress['step']} of {len(progress['losses'])}: {_scores(valid)}")
    console.say(_scores(test))
    for what, name in (("model", MODEL), ("summary", "summary.json"), ("TensorBoard events", BOARD)):
        console.say(f"{what} {(run.path / name).resolve()}")
    return summary


def _scores(evaluation: Evaluation) -> str:
    low, high = evaluation.interval
    scored = evaluation.assessment
    return (
        f"{scored.split} macro-F1 {scored.macro_f1:.3f} (95 % {low:.3f} to {high:.3f}), accuracy {scored.accuracy:.3f}"
    )


def _open(job: DiagnoserTraining) -> RunDirectory:
    if job.resume:
        return RunDirectory.resume(job.folder)
    if (job.folder / SETTINGS).exists():
        raise UserError(
            f"{job.folder} holds a run already: go on with it by --resume {job.folder}, or give another --out"
        )
    return RunDirectory.create(job.folder, identity(job) | {"first": job.first and os.path.abspath(job.first)})


def _begun(folder: Path) -> DiagnoserTraining:
    stored = stored_identity(folder)
    if "workers" not in stored:
        raise UserError(f"{folder} holds a run of another kind: go on with it by `resp-agent curriculum --resume`")
    return DiagnoserTraining(
        resume=str(folder),
        first=stored.get("first"),
        workers=stored["workers"],
        settings=from_plain(stored["settings"]),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """`resp-agent train diagnoser` and `python -m jobs.train_diagnoser`; returns the exit code."""
    return run_job(lambda words: train(parse(words)) and 0, argv)


if __name__ == "__main__":
    sys.exit(main())
