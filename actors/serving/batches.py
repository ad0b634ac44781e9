"""Batches of uploads, diagnosed while nobody waits. All of it is in memory, and files only until they are diagnosed."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from actors.serving.backend import Busy

AT_ONCE = 4
"""Files of a batch that are asked about at once: the rest of the service stays free."""
KEPT_S = 3600.0
"""How long results are kept."""
MOST_JOBS = 64
RETRIES, RETRY_S = 120, 0.5


@dataclass
class _Job:
    total: int
    began: float
    results: dict[int, dict] = field(default_factory=dict)
    task: asyncio.Task | None = None

    @property
    def running(self) -> bool:
        return len(self.results) < self.total


class Batches:
    """Jobs by id. `diagnose` answers as a replica does, or raises `Busy`."""

    def __init__(self, diagnose: Callable[[bytes], Awaitable[dict]], most_running: int = 4):
        self._diagnose, self._most = diagnose, most_running
        self._jobs: dict[str, _Job] = {}

    @property
    def running(self) -> int:
        """Jobs that are not done."""
        return sum(job.running for job in self._jobs.values())

    def begin(self, files: list[bytes]) -> str:
        """Begins a job and returns its id.

        Raises:
            Busy: as many as may are running.
        """
        self._forget()
        if self.running >= self._most:
            raise Busy("as many batches as may are running: send this one again later", retry_after_s=10)
        name, job = secrets.token_urlsafe(16), _Job(len(files), time.monotonic())
        self._jobs[name] = job
        job.task = asyncio.get_running_loop().create_task(self._run(job, files))
        return name

    def look(self, name: str) -> dict | None:
        """A job as `schema.Batch`; None where there is none of that id."""
        job = self._jobs.get(name)
        if job is None:
            return None
        results = [job.results[index] for index in sorted(job.results)]
        return {
            "state": "running" if job.running else "done",
            "done": len(results),
            "total": job.total,
            "results": results,
        }

    async def _run(self, job: _Job, files: list[bytes]) -> None:
        waiting = iter([(index, files[index]) for index in range(len(files))])
        files.clear()

        async def work() -> None:
            for index, data in waiting:
                job.results[index] = {"name": str(index), **await self._one(data)}

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))

    async def _one(self, data: bytes) -> dict:
        for _ in range(RETRIES):
            try:
                found = await self._diagnose(data)
            except Busy:
                await asyncio.sleep(RETRY_S)
                continue
            if "reason" in found:
                return {"error": found["reason"]}
            return {name: found[name] for name in ("label", "confidence", "probabilities", "seconds", "warnings")}
        return {"error": "the service stayed busy: send the recording again"}

    def _forget(self) -> None:
        now = time.monotonic()
        old = [name for name, job in self._jobs.items() if not job.running and now - job.began > KEPT_S]
        done = [name for name, job in self._jobs.items() if not job.running and name not in old]
        for name in old + done[: max(0, len(self._jobs) - len(old) - MOST_JOBS)]:
            del self._jobs[name]
