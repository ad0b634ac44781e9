"""How fast a corpus is built: ratios measured in one run on one machine, printed and never tested for."""

import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
import soxr

from jobs.corpus import placed
from resp_agent.corpus.build import build_corpus
from resp_agent.corpus.bulk import Runner, Work
from resp_agent.corpus.listing import PART_ROWS
from resp_agent.corpus.schema import SAMPLE_RATE_HZ
from resp_agent.errors import UserError
from resp_agent.randomness import stream

WARM_UP_FILES = 8


@dataclass(frozen=True)
class CorpusBenchmark:
    """Decoding to Parquet against a plain loop over soundfile, soxr and FLAC in as many processes; and the memory of
    small and large builds. Recordings are made for it, like those of a stethoscope."""

    recordings: int = 2_048
    """How many are decoded for the throughput."""
    seconds: float = 11.0
    """Length of each."""
    rate_hz: int = 8_000
    """Sample rate of their files."""
    workers: int = 2
    """Processes that decode, on both sides."""
    where: Literal["ray", "local"] = "ray"
    """Where the build's workers are."""
    repeats: int = 3
    """Times that both sides are measured, in turn."""
    memory: tuple[int, ...] = (500, 5_000)
    """Builds of so many recordings whose peak memory is compared."""


def corpus(job: CorpusBenchmark) -> int:
    """Prints throughputs, their ratio and the memory of builds."""
    least = 2 * PART_ROWS * job.workers
    if job.recordings < least:
        raise UserError(
            f"{job.recordings} recordings are over before a rate can be seen: give --recordings at least {least}"
        )
    with tempfile.TemporaryDirectory() as place:
        root = make_recordings(Path(place) / "raw", job.recordings, job.seconds, job.rate_hz)
        files = sorted((root / "audio").iterdir())
        ratios = []
        for turn in range(job.repeats):
            plain = plain_rate(files, job.workers)
            ours, whole = build_rate(root, Path(place) / f"built-{turn}", job)
            ratios.append(ours / plain)
            print(
                f"run {turn + 1}: plain loop {plain:.0f} recordings/s; decode to Parquet {ours:.0f}/s, ratio "
                f"{ratios[-1]:.2f}; the whole build with start-up and storing {whole:.0f}/s",
                flush=True,
            )
        print(f"ratio, median of {job.repeats}: {statistics.median(ratios):.2f} ({job.where}, {job.workers} workers)")
        peaks = []
        for count in job.memory:
            root = make_recordings(Path(place) / f"raw-{count}", count, 2.0, job.rate_hz)
            peaks.append(build_peak_mb(root, Path(place) / f"peak-{count}", job))
            print(f"peak resident memory of the build's process, {count} recordings: {peaks[-1]:.0f} MB", flush=True)
        if len(peaks) > 1:
            print(f"memory, last against first: {peaks[-1] / peaks[0]:.2f}")
    return 0


def make_recordings(root: Path, count: int, seconds: float, rate_hz: int) -> Path:
    """A `folder` source of so many recordings, no two the same: breath-like noise with its own rhythm."""
    (root / "audio").mkdir(parents=True)
    samples = round(seconds * rate_hz)
    rng = stream("benchmark", count)
    swell = 0.1 * (1.05 + np.sin(np.arange(samples) * 2 * np.pi * 0.3 / rate_hz))
    bases = [np.cumsum(rng.standard_normal(samples)) for _ in range(8)]
    bases = [base - np.convolve(base, np.ones(64) / 64, "same") for base in bases]
    lines = ["file_name,label,patient_id,age_years,device"]
    for number in range(count):
        sound = np.roll(bases[number % len(bases)], 37 * number) / 8 * swell
        name = f"audio/{number:06d}.wav"
        soundfile.write(root / name, sound.clip(-1, 1), rate_hz, subtype="PCM_16")
        label, device = ("asthma", "COPD", "control group")[number % 3], ("bell", "diaphragm")[number % 2]
        lines.append(f"{name},{label},p{number // 4},{20 + number % 60},{device}")
    (root / "metadata.csv").write_text("\n".join(lines) + "\n")
    return root


def plain_file(path: Path, folder: Path) -> None:
    """What the plain loop does: decode, resample, store as FLAC."""
    samples, rate_hz = soundfile.read(path, dtype="float32")
    sound = soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ, quality="HQ")
    soundfile.write(folder / f"{path.stem}.flac", sound, SAMPLE_RATE_HZ, subtype="PCM_16")


def plain_rate(files: Sequence[Path], workers: int) -> float:
    """Recordings a second of the plain loop, its processes having started."""
    with tempfile.TemporaryDirectory() as folder, multiprocessing.get_context("spawn").Pool(workers) as pool:
        store = partial(plain_file, folder=Path(folder))
        pool.map(store, files[: WARM_UP_FILES * workers], chunksize=WARM_UP_FILES)
        began = time.monotonic()
        for _ in pool.imap_unordered(store, files, chunksize=8):
            pass
        return len(files) / (time.monotonic() - began)


def build_rate(root: Path, out: Path, job: CorpusBenchmark) -> tuple[float, float]:
    """Recordings a second of decoding to Parquet once every worker has done its first part, and of the whole build."""
    times: list[tuple[float, int]] = []
    began = time.monotonic()
    build_corpus({"folder": root}, out, run=_timed(placed(job.where, job.workers), times))
    whole = job.recordings / (time.monotonic() - began)
    first = times[job.workers - 1][0]
    return sum(count for _, count in times[job.workers :]) / (times[-1][0] - first), whole


def build_peak_mb(root: Path, out: Path, job: CorpusBenchmark) -> float:
    """Peak resident memory of a build in a process of its own, in MB."""
    command = [sys.executable, "-m", "jobs.corpus", "build", "--sources", f"folder={root}", "--out", str(out)]
    command += ["--where", job.where, "--workers", str(job.workers)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"the build ended with {process.returncode}")
    return usage.ru_maxrss / 1024


def _timed(run: Runner, times: list[tuple[float, int]]) -> Runner:
    def timed(work: Work, parts: Sequence[Path]) -> Iterator[int]:
        for count in run(work, parts):
            times.append((time.monotonic(), count))
            yield count

    return timed
