"""What synthesis on a cluster asks of its driver, and how it scales: message sizes, messages a second, two workers."""

import os
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import psutil
import ray
import tyro

from actors.cluster import connect, knock
from actors.generator import RayStudio
from actors.pool import Pool
from jobs.benchmarks.traffic import tcp_bytes
from jobs.console import Console
from jobs.submitted import refuse_relative
from jobs.written import written
from resp_agent.corpus.resolve import resolve_corpus
from resp_agent.curriculum.folders import Folders
from resp_agent.curriculum.request import Request, Shard
from resp_agent.generator.synthesizer import SHARDS
from resp_agent.randomness import digest, seed_of
from resp_agent.settings import Placement, Settings
from resp_agent.settings.checks import refuse

PLACE_S = 120.0
LABEL, STYLE = "other respiratory disease", "electronic stethoscope"
"""Of requests that nobody makes."""


@dataclass(frozen=True)
class ClusterBenchmark:
    """First the driver alone: workers that make nothing answer as real ones do, a thousand of them at the same time
    (and a tenth, and a hundredth of them), from a few processes. Then synthesis with one worker and with two, in turn,
    once they have loaded; clips of each turn are new ones. Both on the pool of a curriculum."""

    workers: int = 1_000
    """Workers that make nothing."""
    processes: int = 2
    """Processes that they are in."""
    answers: int = 10_000
    """Requests that they answer."""
    per_request: int = 8
    """Clips of a request, in both parts."""
    clips: int = 512
    """Clips that are made in each turn of the second part; 0 leaves it out."""
    repeats: int = 3
    """Turns with one worker and with two; the median counts."""
    first: str | None = None
    """Where corpus and trained generator are kept and found again; by default they are made for this and removed."""
    json: str | None = None
    """File for everything that was measured."""
    settings: Annotated[Settings, tyro.conf.arg(name="")] = field(default_factory=Settings)

    def __post_init__(self):
        least = min(self.workers, self.processes, self.answers, self.per_request, self.repeats)
        refuse(least < 1, "workers, processes, answers, clips of a request and repeats are at least 1")
        refuse(self.clips < 0, f"{self.clips} clips cannot be made: give --clips at least 0")


@ray.remote(num_cpus=0, max_concurrency=64)
class Idler:
    """Answers as a generator worker does that makes a request's clips, and makes none."""

    def make(self, requests: list[Request]) -> list[Shard]:
        return [_answer(request.count, request.seed) for request in requests]


def cluster(job: ClusterBenchmark) -> int:
    """Prints sizes, rates and the scaling; returns the exit code."""
    for flag, path in (("--first", job.first), ("--json", job.json)):
        if path:
            refuse_relative(flag, path)
    knock()
    connect()
    found: dict = {"answer_bytes": {count: len(ray.cloudpickle.dumps([_answer(count)])) for count in (1, 8, 32)}}
    found["driver"] = []
    told = ", ".join(f"{size} bytes of {count}" for count, size in found["answer_bytes"].items())
    print(f"the answer to a request, by its clips: {told}")
    for workers in sorted({max(1, job.workers // 100), max(1, job.workers // 10), job.workers}):
        found["driver"].append(driver := messages(job, workers))
        before, after = driver["memory_mb"]
        print(
            f"{workers:,} workers that make nothing: {driver['requests_per_s']:.0f} requests a second, "
            f"{driver['requests_per_s'] * job.per_request:.0f} clips; {driver['bytes_per_request']:.0f} bytes over "
            f"the driver's connections for each request, {driver['bytes_per_clip']:.0f} for each clip; "
            f"{driver['cpu_ms_per_request']:.2f} ms of its CPU; its memory {before:.0f} MB, then {after:.0f} MB",
            flush=True,
        )
    if job.clips:
        with tempfile.TemporaryDirectory() as scratch:
            found["synthesis"] = scaling(job, Path(scratch))
        rate = {workers: job.clips / statistics.median(found["synthesis"][workers]) for workers in ("1", "2")}
        found["ratio"] = rate["2"] / rate["1"]
        print(
            f"synthesis of {job.clips} clips, median of {job.repeats}: {rate['1']:.1f} a second with one worker, "
            f"{rate['2']:.1f} with two ({found['ratio']:.2f} times), {job.settings.threads} thread each, "
            f"{os.cpu_count()} cores"
        )
    if job.json:
        print(written(job.json, found))
    return 0


def messages(job: ClusterBenchmark, workers: int) -> dict:
    """How many requests a second the driver's pool gives out and takes back, and what that costs it."""
    processes = [Idler.remote() for _ in range(job.processes)]
    pool = Pool(lambda number: processes[number % len(processes)], lambda worker: worker.make.remote([]), workers)
    asked = [_request(job.per_request, number) for number in range(job.answers)]

    def ask(requests: list[Request]) -> int:
        answers = pool.map(lambda worker, one: worker.make.remote([one]), requests, PLACE_S, lambda: "no place")
        return sum(len(shards[0].clip_ids) for _, shards in answers)

    # All of them have answered once.
    ask(asked[:workers])
    own = psutil.Process()
    memory, traffic, cpu_s, began = own.memory_info().rss, tcp_bytes(), sum(own.cpu_times()[:2]), time.monotonic()
    clips = ask(asked)
    wall_s, traffic = time.monotonic() - began, tcp_bytes() - traffic
    cpu_s = sum(own.cpu_times()[:2]) - cpu_s
    pool.close()
    return {
        "workers": workers,
        "requests_per_s": job.answers / wall_s,
        "bytes_per_request": traffic / job.answers,
        "bytes_per_clip": traffic / clips,
        "cpu_ms_per_request": 1e3 * cpu_s / job.answers,
        "memory_mb": [memory / 2**20, own.memory_info().rss / 2**20],
    }


def scaling(job: ClusterBenchmark, scratch: Path) -> dict[str, list[float]]:
    """Seconds of every turn, by the number of workers."""
    console, settings = Console(), job.settings
    folders = Folders.of(scratch, job.first)
    corpus = resolve_corpus(settings, folders.corpus(settings))
    place = Placement(generators=2, generator_cpus=0.5)
    studio = RayStudio(settings, place, corpus.path, folders.generator(settings, corpus), folders)
    cells = [(label, style) for label in corpus.labels for style in corpus.styles]
    content, seconds = settings.generator.content, {"1": [], "2": []}

    def requests(turn: object, clips: int) -> list[Request]:
        return [
            Request(*cells[number % len(cells)], job.per_request, seed_of("cluster", turn, number), content)
            for number in range(-(-clips // job.per_request))
        ]

    console.say(f"training the generator on {corpus.describe()}, unless it is there")
    with console.watching(folders.progress):
        # Both workers have loaded and made clips of every cell before any is timed.
        studio.synthesize(requests("warm", job.per_request * len(cells)))
    for turn in range(job.repeats):
        for workers in (1, 2):
            asked = requests((turn, workers), job.clips)
            began = time.monotonic()
            studio.synthesize(asked, at_once=workers)
            seconds[str(workers)].append(time.monotonic() - began)
            console.say(f"turn {turn + 1}, {workers} at once: {seconds[str(workers)][-1]:.1f} s")
    studio.close()
    return seconds


def _request(count: int, seed: int) -> Request:
    return Request(LABEL, STYLE, count, seed_of("cluster", seed))


def _answer(count: int, seed: int = 0) -> Shard:
    request, generator = _request(count, seed), digest("a generator")
    ids = tuple(request.clip_id(generator, index) for index in range(request.count))
    return Shard(f"{SHARDS}/{request.name(generator)}.parquet", ids, 4.0 * request.count, 0.2 * request.count)
