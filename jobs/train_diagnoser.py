"""Trains a diagnoser: ranks on Ray Train, or one in this process, and the score of what they came to."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.console import Console
from jobs.exits import run_job
from jobs.ranked import RankedTraining, completed, open_training, parse, prepare
from jobs.training_log import TrainingLog
from resp_agent.corpus.dataset import Corpus
from resp_agent.curriculum.beacon import Beacon
from resp_agent.curriculum.folders import Folders
from resp_agent.curriculum.journal import BOARD, RunDirectory
from resp_agent.diagnoser.evaluation import Evaluation, evaluate
from resp_agent.diagnoser.learner import Learner
from resp_agent.diagnoser.stored import export
from resp_agent.diagnoser.systems import check_system
from resp_agent.report.figures import confusion_figure
from resp_agent.report.style import LIGHT
from resp_agent.storage import shown
from resp_agent.threads import set_threads
from resp_agent.training.checkpoints import read_progress

MODEL = "model"


@dataclass(frozen=True)
class DiagnoserTraining(RankedTraining):
    """Trains a diagnoser on a corpus, and scores it once on the test split.

    With --diagnoser.training.validate-every the weights that are best by macro-F1 on validation are kept; with
    --diagnoser.training.patience training stops where they no longer get better."""

    WHAT = "diagnoser"

    def __post_init__(self):
        check_system(self.settings.diagnoser.system)
        self.refuse_ranks({"--diagnoser.training": self.settings.diagnoser.training})


def train(job: DiagnoserTraining) -> dict:
    """Trains, or goes on with it, and returns the summary.

    Raises:
        UserError: something given cannot be used.
        RunFailed: the training cannot go on; its last checkpoint is kept.
    """
    console, run, settings = Console(), open_training(job), job.settings
    if summary := completed(run, console):
        return summary
    folders, corpus = prepare(job, run, console)
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
    from jobs.ray_training import Ranks, diagnoser_rank, train_on_ray

    task = {
        "settings": job.settings,
        "corpus": corpus.path,
        "folders": folders,
        "checkpoint": checkpoint,
        "board": folders.workspace / BOARD,
    }
    train_on_ray(diagnoser_rank, task, Ranks.of(job), console.say)


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
        "model": shown((run.path / MODEL).resolve()),
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
        console.say(f"{what} {shown((run.path / name).resolve())}")
    return summary


def _scores(evaluation: Evaluation) -> str:
    low, high = evaluation.interval
    scored = evaluation.assessment
    return (
        f"{scored.split} macro-F1 {scored.macro_f1:.3f} (95 % {low:.3f} to {high:.3f}), accuracy {scored.accuracy:.3f}"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """`resp-agent train diagnoser` and `python -m jobs.train_diagnoser`; returns the exit code."""
    return run_job(lambda words: train(parse(DiagnoserTraining, words)) and 0, argv)


if __name__ == "__main__":
    sys.exit(main())
