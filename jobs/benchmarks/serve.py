"""The service under load: throughput with batching and without, latency, and what it does when asked for too much."""

import asyncio
import io
import os
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import numpy as np
import soundfile

from jobs import serve as serve_job
from jobs.benchmarks.serve_process import Measured, measured
from jobs.console import Console
from jobs.written import written
from resp_agent.corpus.schema import SAMPLE_RATE_HZ
from resp_agent.diagnoser.diagnosis import Diagnoser, Heard
from resp_agent.randomness import stream
from resp_agent.settings.checks import refuse

WARM = 20
PERCENTILES = (50, 90, 99)
MODEL_S = 2.0
"""Seconds for which the model alone is measured, each way."""
SUSTAINED_AT_ONCE = 8
UPLOADS = 16
"""Different recordings that are sent, again and again."""


@dataclass(frozen=True)
class ServeBenchmark:
    """Starts the service, asks it for diagnoses, a number of them at once, and stops it; then again with batches of
    one. Recordings are noise of a length; they are diagnosed without the explanation unless --explain is given."""

    run: str | None = None
    """A run directory; by default the latest below `runs`, or a first training."""
    diagnoser: str | None = None
    """Folder of a diagnoser, in place of the run's."""
    requests: int = 400
    """Diagnoses that are asked for in each part."""
    at_once: int = 16
    """How many at the same time."""
    overload: int = 10
    """How many times as many at the same time in the part that is too much."""
    sustained: int = 2_000
    """Diagnoses of the part in which memory is watched, 8 at the same time; 0 leaves it out."""
    batch: int = 16
    """Recordings that are diagnosed together, at most, in the parts with batching."""
    seconds: float = 4.0
    """Length of a recording."""
    explain: bool = False
    """Whether to ask where diagnoses come from, which is done for one recording at a time."""
    json: str | None = None
    """File for everything that was measured."""

    def __post_init__(self):
        refuse(min(self.requests, self.at_once, self.overload, self.batch) < 1, "all numbers are at least 1")
        refuse(self.sustained < 0, f"{self.sustained} diagnoses cannot be asked for: give 0 to leave them out")


def serve(job: ServeBenchmark) -> int:
    """Prints what each part came to; exit code 0."""
    uploads = _uploads(job.seconds)
    folder = serve_job.found(serve_job.ServeJob(run=job.run, diagnoser=job.diagnoser), Console()).diagnoser
    found = {"model": _model(Path(folder), job)}
    given = [("--run", job.run), ("--diagnoser", job.diagnoser)]
    flags = [word for flag, value in given if value for word in (flag, value)]
    with measured([*flags, "--batch", str(job.batch)]) as service:
        found["batched"] = _part(service, job, uploads, job.requests, job.at_once)
        found["overload"] = _part(service, job, uploads, job.requests, job.at_once * job.overload)
        if job.sustained:
            found["sustained"] = _sustained(service, job, uploads)
    with measured([*flags, "--batch", "1"]) as service:
        found["single"] = _part(service, job, uploads, job.requests, job.at_once)
    found["ratio"] = found["batched"]["answers_per_s"] / found["single"]["answers_per_s"]
    model = found["model"]
    print(
        f"the model alone: {model['batched_per_s']:.1f} recordings a second with batching, {model['single_per_s']:.1f} "
        f"one by one ({model['ratio']:.2f} times)"
    )
    for name in ("batched", "single", "overload", "sustained"):
        if name in found:
            print(f"{name}: {_line(found[name])}")
    print(f"batching answers {found['ratio']:.2f} times as many a second")
    if job.sustained:
        memory = found["sustained"]["memory_mb"]
        print(
            f"memory of the replicas: {memory['before']:.0f} MB after the first tenth of {job.sustained:,} requests, "
            f"{memory['after']:.0f} MB after all ({memory['growth']:+.1%})"
        )
    if job.json:
        print(written(job.json, found))
    return 0


def _model(folder: Path, job: ServeBenchmark) -> dict:
    """Recordings that the model diagnoses a second, without the service around it."""
    diagnoser, rates = Diagnoser(folder), {}
    samples = round(job.seconds * SAMPLE_RATE_HZ)
    draws = (stream("benchmark", "serve", number).standard_normal(samples) for number in range(job.batch))
    heard = [Heard(str(n), 0.1 * one.astype(np.float32), None, job.explain) for n, one in enumerate(draws)]
    for name, parts in (("batched", [heard]), ("single", [[one] for one in heard])):
        diagnoser.together(parts[0])
        began, done = time.monotonic(), 0
        while time.monotonic() - began < MODEL_S:
            for part in parts:
                diagnoser.together(part)
            done += len(heard)
        rates[f"{name}_per_s"] = done / (time.monotonic() - began)
    return rates | {"ratio": rates["batched_per_s"] / rates["single_per_s"]}


def summary(statuses: list[int], latencies_s: list[float], wall_s: float) -> dict:
    """Counts of statuses, and time and throughput of what was answered by 200."""
    answered = [seconds for status, seconds in zip(statuses, latencies_s, strict=True) if status == 200]
    return {
        "statuses": {str(status): count for status, count in sorted(Counter(statuses).items())},
        "answers_per_s": len(answered) / wall_s,
        "latency_s": {str(q): float(np.percentile(answered, q)) if answered else None for q in PERCENTILES},
        "longest_s": max(answered, default=None),
        "wall_s": wall_s,
    }


def _line(part: dict) -> str:
    latency = ", ".join(f"{q} % {value:.3f} s" for q, value in part["latency_s"].items() if value is not None)
    cpu = "" if part["cpu_ms"] is None else f", {part['cpu_ms']:.0f} ms of CPU each"
    return f"{part['answers_per_s']:.1f} answers a second{cpu}; {latency}; statuses {part['statuses']}"


def _part(service: Measured, job: ServeBenchmark, uploads: list[bytes], requests: int, at_once: int) -> dict:
    asyncio.run(_load(service.url, job, uploads, WARM, 1))
    used_s = service.cpu_s()
    found = asyncio.run(_load(service.url, job, uploads, requests, at_once))
    used_s = service.cpu_s() - used_s
    answered = found["statuses"].get("200", 0)
    return found | {"cpu_ms": 1e3 * used_s / answered if answered else None}


def _sustained(service: Measured, job: ServeBenchmark, uploads: list[bytes]) -> dict:
    _part(service, job, uploads, max(1, job.sustained // 10), SUSTAINED_AT_ONCE)
    before = service.memory_mb()
    found = _part(service, job, uploads, job.sustained, SUSTAINED_AT_ONCE)
    after = service.memory_mb()
    return found | {"memory_mb": {"before": before, "after": after, "growth": after / before - 1}}


async def _load(url: str, job: ServeBenchmark, uploads: list[bytes], requests: int, at_once: int) -> dict:
    """`requests` requests, `at_once` of them open at any time."""
    statuses, latencies, waiting = [], [], iter(range(requests))
    connector, timeout = aiohttp.TCPConnector(limit=at_once), aiohttp.ClientTimeout(total=300)
    token = os.environ.get("RESP_AGENT_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as session:

        async def ask(number: int) -> int:
            form = aiohttp.FormData()
            form.add_field("explain", "true" if job.explain else "false")
            form.add_field("file", uploads[number % len(uploads)], filename="upload.wav")
            async with session.post(f"{url}/v1/diagnose", data=form) as answer:
                await answer.read()
                return answer.status

        async def client() -> None:
            for number in waiting:
                began = time.monotonic()
                statuses.append(await ask(number))
                latencies.append(time.monotonic() - began)

        began = time.monotonic()
        await asyncio.gather(*(client() for _ in range(at_once)))
        return summary(statuses, latencies, time.monotonic() - began)


def _uploads(seconds: float) -> list[bytes]:
    made = []
    for number in range(UPLOADS):
        buffer = io.BytesIO()
        noise = 0.1 * stream("benchmark", "serve", number).standard_normal(round(seconds * SAMPLE_RATE_HZ))
        soundfile.write(buffer, noise, SAMPLE_RATE_HZ, format="WAV")
        made.append(buffer.getvalue())
    return made
