"""Bulk work on Ray Data: the same workers as in one process, in processes wherever the cluster has room."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import ray
import ray.data
from ray.util.placement_group import remove_placement_group

from actors.cluster import connect, reserve
from resp_agent.corpus.bulk import Runner, Work, Worker, in_threads
from resp_agent.corpus.listing import PART_ROWS
from resp_agent.errors import RunFailed, UserError

PLACEMENT_TIMEOUT_S = 120.0
"""A cluster may have to add a node first."""
WAY_OUT = "lower --cpus or --gpus, add a node, or use --where local"
WORTH_RAY = 2_000
"""Recordings from which on Ray Data is worth the seconds that it takes to start."""


def on_ray(workers: int, cpus: float, gpus: float = 0.0) -> Runner:
    """A runner of `workers` tasks at a time that each reserve `cpus` and `gpus`; parts and results must be on storage
    that every node reads. A task whose process dies is done again."""

    def run(work: Work, parts: Sequence[Path]) -> Iterator[int]:
        if not parts:
            return
        own_gpus = gpus if work.heavy else 0.0
        connect()
        quiet()
        check_room(cpus, own_gpus)
        done = ray.data.from_items([{"part": str(part)} for part in parts], override_num_blocks=len(parts)).map_batches(
            do,
            fn_kwargs={"work": work},
            batch_size=1,
            concurrency=min(workers, len(parts)),
            num_cpus=cpus,
            num_gpus=own_gpus or None,
            # A process keeps its worker from task to task; Ray would give it up after each that had a GPU.
            max_calls=0,
        )
        for row in done.iter_rows():
            if row["wrong"]:
                raise (UserError if row["refused"] else RunFailed)(row["wrong"])
            yield int(row["rows"])

    return run


def runner(where: str, workers: int, cpus: float, gpus: float, parts: Sequence[Path]) -> Runner:
    """The runner for some parts: `ray`, `local`, or by their number where that is left open (`auto`)."""
    if where == "local" or (where == "auto" and len(parts) * PART_ROWS < WORTH_RAY):
        return in_threads(workers)
    return on_ray(workers, cpus, gpus)


_WORKERS: dict[Work, Worker] = {}


def do(batch: dict, work: Work) -> dict:
    """Does the parts of a batch, by a worker that this process keeps.

    Errors that have a sentence for the user travel as data: Ray Data keeps only the text of what is raised.
    """
    done = {"rows": [], "wrong": [], "refused": []}
    for part in batch["part"]:
        rows, wrong = 0, None
        try:
            if work not in _WORKERS:
                for other in list(_WORKERS):
                    _WORKERS.pop(other).close()
                _WORKERS[work] = work.start()
            rows = _WORKERS[work](Path(part))
        except (UserError, RunFailed) as problem:
            wrong = problem
        done["rows"].append(rows)
        done["wrong"].append(str(wrong or ""))
        done["refused"].append(isinstance(wrong, UserError))
    return done


def check_room(cpus: float, gpus: float) -> None:
    """Raises RunFailed where one worker finds no place in time: Ray Data would wait for it without a word."""
    what = f"a worker of {cpus:g} CPU and {gpus:g} GPU"
    remove_placement_group(reserve(1, cpus, gpus, "PACK", PLACEMENT_TIMEOUT_S, what, WAY_OUT))


def quiet() -> None:
    """Ray Data's own bars and plans would bury the job's progress lines."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
