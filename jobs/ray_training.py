"""Trainings on Ray Train: a DeepSpeed rank a worker, restarted together when one fails."""

import os
from collections.abc import Callable
from dataclasses import dataclass

import ray.train
from ray.train import FailureConfig, LoggingConfig, RunConfig, ScalingConfig, TrainingFailedError
from ray.train.torch import TorchTrainer
from ray.util.placement_group import remove_placement_group

from actors.cluster import connect, reserve
from jobs.ranked import RankedTraining
from jobs.ray_storage import notes_in
from jobs.training_log import PartsLog, Say, TrainingLog, following, line_to
from resp_agent.corpus.dataset import Corpus
from resp_agent.curriculum.beacon import Beacon
from resp_agent.diagnoser.learner import Learner
from resp_agent.errors import RunFailed, UserError
from resp_agent.generator.training import train_generator
from resp_agent.generator.vocos_training import train_vocoder
from resp_agent.threads import set_threads

WAY_OUT = "lower --cpus, --gpus or --workers, add a node, or use --lab local"


@dataclass(frozen=True)
class Ranks:
    """How many there are, what each reserves, and how often they are started again."""

    workers: int
    cpus: float
    gpus: float
    restarts: int
    placement_timeout_s: float

    @classmethod
    def of(cls, job: RankedTraining) -> "Ranks":
        """As a job asks for them."""
        return cls(job.workers, job.cpus, job.gpus, job.restarts, job.placement_timeout_s)


def train_on_ray(rank: Callable[[dict], None], task: dict, ranks: Ranks, say: Say) -> None:
    """Runs a rank of a training on every worker, from what a killed training left, and says how far it is.

    Args:
        rank: `diagnoser_rank` or another of these; it is given the task with `lines`, the file of what it says.
        task: `settings`, the path of the `corpus`, `folders`, and what the rank needs besides.

    Raises:
        UserError: a rank was given something that it cannot use.
        RunFailed: there is no place for the ranks, or they failed more often than they may.
    """
    # The ranks' relative paths are the driver's.
    os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")
    connect()
    # Ray Train would wait for a place without a word.
    remove_placement_group(
        reserve(
            ranks.workers, ranks.cpus, ranks.gpus, "PACK", ranks.placement_timeout_s, "the ranks of a training", WAY_OUT
        )
    )
    folders = task["folders"]
    lines = folders.progress / "training.txt"
    trainer = TorchTrainer(
        rank,
        train_loop_config=task | {"lines": lines},
        scaling_config=ScalingConfig(
            num_workers=ranks.workers,
            use_gpu=ranks.gpus > 0,
            resources_per_worker={"CPU": ranks.cpus} | ({"GPU": ranks.gpus} if ranks.gpus else {}),
        ),
        run_config=RunConfig(
            name="ray-train",
            **notes_in(folders.workspace),
            failure_config=FailureConfig(max_failures=ranks.restarts),
            logging_config=LoggingConfig(log_level="ERROR"),
        ),
    )
    with following(lines, say):
        try:
            trainer.fit()
        except TrainingFailedError as failure:
            raise _sentence(failure, ranks.restarts) from failure


def diagnoser_rank(task: dict) -> None:
    """One rank of a diagnoser's training. Ray Train has made the process group that its engine joins."""
    settings, folders = task["settings"], task["folders"]
    rank = ray.train.get_context().get_world_rank()
    set_threads(settings.threads)
    learner = Learner(settings, task["corpus"], Beacon(folders.progress, f"diagnoser-{rank}"), folders.features)
    if rank:
        learner.first_train(str(task["checkpoint"]))
        return
    log = TrainingLog(task["board"], settings.diagnoser.training.steps, line_to(task["lines"]))
    learner.first_train(str(task["checkpoint"]), log)
    log.close()


def generator_rank(task: dict) -> None:
    """One rank of a generator's training."""
    settings, folders = task["settings"], task["folders"]
    rank = ray.train.get_context().get_world_rank()
    set_threads(settings.threads)
    train, beacon = Corpus.open(task["corpus"]).split("train"), Beacon(folders.progress, f"generator-{rank}")
    if rank:
        train_generator(settings, train, task["generator"], beacon)
        return
    log = PartsLog(task["board"], line_to(task["lines"]))
    train_generator(settings, train, task["generator"], beacon, log)
    log.close()


def vocoder_rank(task: dict) -> None:
    """One rank of a vocoder's training."""
    settings, folders = task["settings"], task["folders"]
    rank = ray.train.get_context().get_world_rank()
    set_threads(settings.threads)
    train, beacon = Corpus.open(task["corpus"]).split("train"), Beacon(folders.progress, f"vocoder-{rank}")
    log = PartsLog(task["board"], line_to(task["lines"])) if rank == 0 else None
    train_vocoder(settings.generator.vocoder, settings.audio, settings.seed, train, task["vocoder"], beacon, log)
    if log:
        log.close()


def _sentence(failure: TrainingFailedError, restarts: int) -> Exception:
    """What a rank said that a user can act on, else that the ranks failed."""
    for error in getattr(failure, "worker_failures", {}).values():
        while error is not None:
            if isinstance(error, (UserError, RunFailed)):
                return error
            error = getattr(error, "cause", None) or error.__cause__
    reason = (str(failure).strip().splitlines() or ["no reason given"])[-1]
    return RunFailed(
        f"the ranks failed ({reason}), and were started again {restarts} times: see the workers' logs; --resume goes "
        "on from the last checkpoint"
    )
