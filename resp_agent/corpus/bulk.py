"""Work on many small files of rows: what a worker does with each, apart from where workers are.

A runner takes work and the files ("parts") that it is done on, and tells the number of rows after each. What a part
becomes is written by its worker and named by its content, so a part may be done twice, by anyone, and is the same.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Protocol


class Worker(Protocol):
    """Keeps what it needs from part to part."""

    def __call__(self, part: Path) -> int:
        """Does one part and returns its number of rows."""

    def close(self) -> None:
        """Gives up what it kept."""


class Work(Protocol):
    """Plain data from which a worker can be made anywhere."""

    heavy: bool
    """Whether a worker holds a model: then a process has one, on a GPU where workers are given any."""

    def start(self) -> Worker:
        """A worker; what it cannot do at all it says now."""


Runner = Callable[[Work, Sequence[Path]], Iterator[int]]
"""Does work on parts, in any order, and yields the number of rows of each that is done."""

Progress = Callable[[str, int, int | None], None]
"""Told as work goes on: what was done, to how many recordings, of how many (None: not known yet)."""


def in_threads(workers: int = 1) -> Runner:
    """A runner for this process: threads, each with a worker of its own."""

    def run(work: Work, parts: Sequence[Path]) -> Iterator[int]:
        own, started = threading.local(), []

        def do(part: Path) -> int:
            if not hasattr(own, "worker"):
                own.worker = work.start()
                started.append(own.worker)
            return own.worker(part)

        pool = ThreadPoolExecutor(1 if work.heavy else workers)
        try:
            for done in as_completed([pool.submit(do, part) for part in parts]):
                yield done.result()
        finally:
            pool.shutdown(cancel_futures=True)
            for worker in started:
                worker.close()

    return run
