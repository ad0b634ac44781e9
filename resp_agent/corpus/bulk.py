"""Work on many small files of rows: what a worker does with each, apart from where workers are.

A runner takes work and the files ("parts") that it is done on, and tells the number of rows after each. What a part
becomes is written by its worker and named by its content, so a part may be done twice, by anyone, and is the same.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol

Worker = Callable[[Path], int]
"""Does one part and returns its number of rows."""


class Work(Protocol):
    """Plain data from which a worker can be made anywhere."""

    def start(self) -> Worker:
        """A worker with all that it keeps from part to part; it may have a `close()`."""
        ...


Runner = Callable[[Work, Sequence[Path]], Iterator[int]]
"""Does work on parts, in any order, and yields the number of rows of each that is done."""

Progress = Callable[[str, int, int | None], None]
"""Told as work goes on: what was done, to how many recordings, of how many (None: not known yet)."""


def in_threads(workers: int = 1) -> Runner:
    """A runner for this process: threads, each with a worker of its own."""

    def run(work: Work, parts: Sequence[Path]) -> Iterator[int]:
        idle: SimpleQueue[Worker] = SimpleQueue()
        started: list[Worker] = []

        def start() -> None:
            worker = work.start()
            started.append(worker)
            idle.put(worker)

        def do(part: Path) -> int:
            worker = idle.get()
            try:
                return worker(part)
            finally:
                idle.put(worker)

        count = min(workers, len(parts))
        pool = ThreadPoolExecutor(max(1, count), initializer=start)
        try:
            for done in as_completed([pool.submit(do, part) for part in parts]):
                yield done.result()
        finally:
            pool.shutdown(cancel_futures=True)
            for worker in started:
                if hasattr(worker, "close"):
                    worker.close()

    return run
