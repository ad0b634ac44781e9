"""A grid of trials, on Ray Tune or one after the other in this process. What is done is not done again."""

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jobs.benchmarks.trial import Trial, attempt
from jobs.ray_storage import notes_in
from resp_agent.settings.checks import refuse
from resp_agent.storage import remove

Tell = Callable[[Trial, dict], None]
"""Called with a trial and its result when it ends, or fails."""

RETRIES = 2
"""Times that a trial whose process died goes on from its last checkpoint."""
PLACEMENT_TIMEOUT_S = 120.0
WAY_OUT = "lower --cpus or --gpus, add a node, or use --where local"


@dataclass(frozen=True)
class Where:
    """Where trials run. Changes their time, not their results."""

    where: Literal["ray", "local"] = "ray"
    """`ray`: Ray Tune, on a cluster or a local Ray that starts by itself; `local`: one after the other in this
    process."""
    at_once: int = 2
    """Trials at the same time, on Ray."""
    cpus: float = 1.0
    """CPUs reserved for a trial. Threads are set apart, by `threads`."""
    gpus: float = 0.0
    """GPUs reserved for a trial."""

    def __post_init__(self):
        refuse(self.at_once < 1, f"{self.at_once} trials at once try nothing: give --at-once at least 1")
        refuse(not self.cpus > 0, f"a trial cannot reserve {self.cpus} CPUs: give --cpus above 0")
        refuse(not self.gpus >= 0, f"a trial cannot reserve {self.gpus} GPUs: give --gpus at least 0")


def run_grid(trials: Sequence[Trial], place: Where, tell: Tell) -> dict[str, dict]:
    """Results by the key of their trial; a trial that failed has `failed`, a sentence.

    Trials that share a key are done once.
    """
    unique = {trial.key: trial for trial in trials}
    done = {key: trial.result for key, trial in unique.items() if trial.result}
    left = [trial for key, trial in unique.items() if key not in done]
    if left and place.where == "ray":
        done |= _on_tune(left, place, tell)
    else:
        for trial in left:
            done[trial.key] = attempt(trial)
            tell(trial, done[trial.key])
    return done


def _on_tune(trials: Sequence[Trial], place: Where, tell: Tell) -> dict[str, dict]:
    # Imported when needed: a grid in this process knows no Ray.
    import ray
    from ray import tune

    from actors.cluster import connect, reserve

    connect()
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    what = f"a trial of {place.cpus:g} CPU and {place.gpus:g} GPU"
    ray.util.remove_placement_group(reserve(1, place.cpus, place.gpus, "PACK", PLACEMENT_TIMEOUT_S, what, WAY_OUT))
    by_key, done = {trial.key: trial for trial in trials}, {}

    class Progress(tune.Callback):
        """Tells of each trial as it ends."""

        def on_trial_result(self, iteration, trials, trial, result, **info):
            known = by_key[trial.config["trial"]["key"]]
            if known.key not in done:
                done[known.key] = result["outcome"]
                tell(known, result["outcome"])

    storage = Path(trials[0].folder) / "tune"
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    grid = [{"key": trial.key, **trial.to_plain()} for trial in trials]
    found = tune.Tuner(
        tune.with_resources(_tuned, {"cpu": place.cpus} | ({"gpu": place.gpus} if place.gpus else {})),
        param_space={"trial": tune.grid_search(grid)},
        tune_config=tune.TuneConfig(max_concurrent_trials=place.at_once),
        run_config=tune.RunConfig(
            name=name,
            **notes_in(storage),
            failure_config=tune.FailureConfig(max_failures=RETRIES),
            callbacks=[Progress()],
            verbose=0,
        ),
    ).fit()
    for ended in found:
        known = by_key[ended.config["trial"]["key"]]
        if known.key not in done:
            died = str(ended.error).strip().splitlines() or ["it ended without a result"]
            done[known.key] = known.result or {"failed": f"its process died {RETRIES + 1} times: {died[-1][:200]}"}
            tell(known, done[known.key])
    remove(storage / name)
    return done


def _tuned(config: dict) -> dict:
    """What Tune runs. The outcome travels as data: Tune keeps only the text of what is raised."""
    data = {name: value for name, value in config["trial"].items() if name != "key"}
    return {"outcome": attempt(Trial.from_plain(data))}
