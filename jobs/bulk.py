"""Bulk work on Ray Data: the same workers as in one process, in processes wherever the cluster has room."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import ray
import ray.data

from actors.cluster import connect
from resp_agent.corpus.bulk import Runner, Work, Worker, in_threads
from resp_agent.corpus.listing import PART_ROWS
from resp_agent.errors import RunFailed, UserError

WORTH_RAY = 2_000
"""Recordings from which on Ray Data is worth the seconds that it takes to start."""


def on_ray(workers: int, cpus: float, gpus: float = 0.0) -> Runner:
    """A runner of `workers` tasks at a time that each reserve `cpus` and `gpus`; parts and results must be on storage
    that every node reads. A task whose process dies is done again."""

    def run(work: Work, parts: Sequence[Path]) -> Iterator[int]:
        if not parts:
            return
        connect()
        quiet()
        check_room(cpus, gpus)
        done = ray.data.from_items([{"part": str(part)} for part in parts], override_num_blocks=len(parts)).map_batches(
            do,
            fn_kwargs={"work": work},
            batch_size=1,
            concurrency=min(workers, len(parts)),
            num_cpus=cpus,
            num_gpus=gpus or None,
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
                _WORKERS[work] = work.start()
            rows = _WORKERS[work](Path(part))
        except (UserError, RunFailed) as problem:
            wrong = problem
        done["rows"].append(rows)
        done["wrong"].append(str(wrong or ""))
        done["refused"].append(isinstance(wrong, UserError))
    return done


def check_room(cpus: float, gpus: float) -> None:
    """Raises RunFailed where no node could ever hold one worker: Ray Data would wait for it without a word."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(node.get("CPU", 0) >= cpus and node.get("GPU", 0) >= gpus for node in nodes):
        has = "; ".join(f"{node.get('CPU', 0):g} CPU and {node.get('GPU', 0):g} GPU" for node in nodes)
        raise RunFailed(
            f"a worker of {cpus:g} CPU and {gpus:g} GPU finds no place on any node (there are {has}): lower --cpus or "
            "--gpus, add a node, or use --where local"
        )


def quiet() -> None:
    """Ray Data's own bars and plans would bury the job's progress lines."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
