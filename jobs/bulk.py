"""Bulk work on Ray Data: the same workers as in one process, in processes wherever the cluster has room."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import ray
import ray.data

from actors.cluster import connect
from resp_agent.corpus.bulk import Runner, Work, Worker, in_threads
from resp_agent.corpus.listing import PART_ROWS

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
            yield int(row["rows"])

    return run


def runner(where: str, workers: int, cpus: float, gpus: float, parts: Sequence[Path]) -> Runner:
    """The runner for some parts: `ray`, `local`, or by their number where that is left open (`auto`)."""
    if where == "local" or (where == "auto" and len(parts) * PART_ROWS < WORTH_RAY):
        return in_threads(workers)
    return on_ray(workers, cpus, gpus)


_WORKERS: dict[Work, Worker] = {}


def do(batch: dict, work: Work) -> dict:
    """Does the parts of a batch, by a worker that this process keeps."""
    if work not in _WORKERS:
        _WORKERS[work] = work.start()
    return {"rows": [_WORKERS[work](Path(part)) for part in batch["part"]]}


def quiet() -> None:
    """Ray Data's own bars and plans would bury the job's progress lines."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
