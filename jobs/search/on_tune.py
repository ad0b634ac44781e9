"""Trials on Ray Tune: Optuna suggests, ASHA stops what falls behind."""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import ray
from ray import tune
from ray.tune.schedulers import AsyncHyperBandScheduler
from ray.tune.search import ConcurrencyLimiter
from ray.tune.search.optuna import OptunaSearch

from actors.cluster import connect
from jobs.ray_storage import notes_in
from jobs.search.study import NAME, PolicyStudy
from jobs.search.trial import SearchTrial, prepare, run_trial
from resp_agent.errors import RunFailed, UserError
from resp_agent.settings import Placement, Settings
from resp_agent.storage import remove
from resp_agent.threads import set_threads

METRIC, SPENT = "macro_f1", "clips"
RETRIES = 2
"""Times that a trial whose process died is begun again."""


def bundles(place: Placement, cpus: float, seeds: int) -> list[dict[str, float]]:
    """What a trial reserves: its own process, and with the Lab on Ray the actors of every seed's Lab."""
    if place.lab == "local":
        return [{"CPU": cpus}]
    generator = {"CPU": place.generator_cpus} | ({"GPU": place.generator_gpus} if place.generator_gpus else {})
    diagnoser = {"CPU": place.diagnoser_cpus} | ({"GPU": place.diagnoser_gpus} if place.diagnoser_gpus else {})
    each = [generator] * place.generators + [diagnoser] * place.diagnoser_workers
    return [{"CPU": cpus}, *each * seeds]


def prepare_all(
    settings: Settings, seeds: tuple[int, ...], first: Path, workspace: Path, place: Placement, cpus: float
) -> None:
    """First trainings of all seeds, beside each other as far as there is room."""
    connect()
    if place.lab == "ray":
        for seed in seeds:
            prepare(settings, seed, first, workspace / f"seed-{seed}", place)
        return
    waiting = [
        _prepared.options(num_cpus=cpus).remote(settings, seed, first, workspace / f"seed-{seed}", place)
        for seed in seeds
    ]
    ray.get(waiting)


def search(
    study: PolicyStudy, trials: int, at_once: int, reserved: list[dict[str, float]], out: Path,
    told: Callable[[SearchTrial, dict | None], None],
) -> None:  # fmt: skip
    """Plays `trials` trials that the study suggests.

    Args:
        reserved: bundles of each trial.
        told: hears of each round of a trial, and at its end of None.
    """
    connect()
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    # Lines of our own say how the search goes.
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    budget = study.any_settings.curriculum.budget

    class Progress(tune.Callback):
        def on_trial_result(self, iteration, trials, trial, result, **info):
            if SPENT in result:
                told(SearchTrial.from_plain(trial.config["played"]), {name: result[name] for name in (SPENT, METRIC)})

        def on_trial_complete(self, iteration, trials, trial, **info):
            told(SearchTrial.from_plain(trial.config["played"]), None)

        def on_trial_error(self, iteration, trials, trial, **info):
            told(SearchTrial.from_plain(trial.config["played"]), None)

    searcher = OptunaSearch(
        space=study.space, metric=METRIC, mode="max", sampler=study.sampler, storage=study.storage, study_name=NAME
    )
    name = time.strftime("%Y%m%d-%H%M%S")
    tune.Tuner(
        tune.with_resources(_tuned, tune.PlacementGroupFactory(reserved, strategy="PACK")),
        tune_config=tune.TuneConfig(
            num_samples=trials,
            search_alg=ConcurrencyLimiter(searcher, max_concurrent=at_once),
            scheduler=AsyncHyperBandScheduler(
                time_attr=SPENT, metric=METRIC, mode="max", max_t=budget + 1, grace_period=max(1, budget // 2),
                reduction_factor=2,
            ),
            max_concurrent_trials=at_once,
        ),
        run_config=tune.RunConfig(
            name=name,
            **notes_in(out / "tune"),
            failure_config=tune.FailureConfig(max_failures=RETRIES),
            callbacks=[Progress()],
            verbose=0,
        ),
    ).fit()  # fmt: skip
    # The study and the trials' records are what is kept.
    remove(out / "tune" / name)


@ray.remote(max_retries=-1, max_calls=1)
def _prepared(settings: Settings, seed: int, first: Path, workspace: Path, place: Placement) -> None:
    set_threads(settings.threads)
    prepare(settings, seed, first, workspace, place)


def _tuned(config: dict) -> None:
    """What Tune runs."""
    trial = SearchTrial.from_plain(config["played"])
    set_threads(trial.settings.threads)
    try:
        run_trial(trial, lambda round_: tune.report({METRIC: round_["macro_f1"], SPENT: round_["clips"]}))
    except (UserError, RunFailed) as problem:
        # Tune keeps only the text of what is raised; the trial's record has the sentence.
        raise RuntimeError(str(problem)) from None


def check_room(reserved: list[dict[str, float]]) -> None:
    """Whether the cluster could ever place a trial: one that is too large would wait for ever.

    Raises:
        RunFailed: a resource is short.
    """
    connect()
    total = ray.cluster_resources()
    for kind in {kind for bundle in reserved for kind in bundle}:
        needed = sum(bundle.get(kind, 0) for bundle in reserved)
        if needed > total.get(kind, 0):
            raise RunFailed(
                f"a trial reserves {needed:g} {kind} and the cluster has {total.get(kind, 0):g}: lower --cpus, "
                "--generators or their reservations, give fewer --seeds, or use --lab local"
            )
