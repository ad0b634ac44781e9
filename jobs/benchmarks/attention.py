"""How attention grows with the length of a sequence, and from which length on the long path is the faster one."""

import json
import multiprocessing
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from resp_agent.diagnoser.attention import DENSE_UP_TO, AttentionPath, choose_path, woven_attention
from resp_agent.diagnoser.attention_pattern import Pattern
from resp_agent.durable import write_atomic
from resp_agent.settings.checks import refuse
from resp_agent.storage import local
from resp_agent.threads import set_threads, threads
from resp_agent.training.distributed import device

AIM = 1.2
"""Largest slope of time and memory over length, both as logarithms, that is still close to linear."""


@dataclass(frozen=True)
class AttentionBenchmark:
    """Time and memory of the long path from 4k to 16k tokens with a fixed number of global ones; and the length from
    which on it beats the dense path. By default at the sizes of Longformer-base."""

    tokens: tuple[int, ...] = (4096, 8192, 16384)
    """Lengths at which growth is measured."""
    switch: tuple[int, ...] = (256, 384, 512, 640, 768, 896, 1024, 1280, 1536, 2048)
    """Lengths at which the paths are compared."""
    heads: int = 12
    """Attention heads."""
    width: int = 64
    """Width of a head."""
    reach: int = 256
    """Tokens that the window extends to either side."""
    anchors: int = 126
    """Global tokens, evenly spread: as many as the released diagnoser has."""
    batch: int = 1
    """Rows."""
    repeats: int = 5
    """Times that each is measured; the shortest counts, which other work on the machine disturbs least."""
    threads: int = 1
    """Threads on CPU, where seconds are summed over them."""
    json: str | None = None
    """File for the figures."""

    def __post_init__(self):
        refuse(len(self.tokens) < 2, "a slope needs at least two lengths: give --tokens two or more")
        refuse(
            max(self.tokens) <= DENSE_UP_TO,
            f"sequences of {max(self.tokens)} tokens never take the long path: give one beyond {DENSE_UP_TO}",
        )
        refuse(
            min((*self.tokens, *self.switch, self.heads, self.width, self.reach, self.batch, self.repeats)) < 1,
            "lengths and sizes are at least 1",
        )
        refuse(
            not 0 <= self.anchors <= min(*self.tokens, *self.switch),
            f"{self.anchors} global tokens are more than the shortest sequence has",
        )


@dataclass(frozen=True)
class Cost:
    """What attention costs at one length, forward and forward + backward."""

    tokens: int
    forward_s: float
    training_s: float
    forward_mb: float
    """Peak memory beyond that of the inputs."""
    training_mb: float


def attention(job: AttentionBenchmark) -> int:
    """Prints costs by length, their slopes and the switch point."""
    path = choose_path(max(job.tokens), device())
    print(
        f"{path} path on {device()}, {job.heads} heads of {job.width}, reach {job.reach}, {job.anchors} global tokens"
    )
    costs = measure(job, path)
    for one in costs:
        print(
            f"{one.tokens:>6} tokens: forward {one.forward_s:.3f} s, {one.forward_mb:.0f} MB; forward + backward "
            f"{one.training_s:.3f} s, {one.training_mb:.0f} MB"
        )
    slopes = {
        name: slope([one.tokens for one in costs], [getattr(one, name) for one in costs])
        for name in ("forward_s", "training_s", "forward_mb", "training_mb")
    }
    for name, value in slopes.items():
        print(f"log-log slope of {name}: {value:.2f} (aim: at most {AIM})")
    switch = compare_paths(job, path)
    if job.json:
        result = {
            "device": str(device()),
            "path": path,
            "costs": [asdict(one) for one in costs],
            "slopes": slopes,
            "switch": switch,
        }
        write_atomic(local(job.json), (json.dumps(result, indent=1) + "\n").encode())
    return 0


def measure(job: AttentionBenchmark, path: AttentionPath) -> list[Cost]:
    """Costs at every length of the job."""
    memory = []
    for tokens in job.tokens:
        # A process each: the peak of memory is a process's.
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            memory.append(pool.submit(measure_memory, job, tokens, path).result())
    forward, training = ({tokens: float("inf") for tokens in job.tokens} for _ in range(2))
    with threads(job.threads):
        # In turn, so that other work on the machine slows every length.
        for tokens in job.tokens * job.repeats:
            heads, pattern = _inputs(job, tokens)
            forward[tokens] = min(forward[tokens], _timed(heads, pattern, path, backward=False))
            training[tokens] = min(training[tokens], _timed(heads, pattern, path, backward=True))
    return [
        Cost(tokens, forward[tokens], training[tokens], *peaks)
        for tokens, peaks in zip(job.tokens, memory, strict=True)
    ]


def measure_memory(job: AttentionBenchmark, tokens: int, path: AttentionPath) -> tuple[float, float]:
    """Peaks of forward, and of forward + backward, in MB beyond the inputs, in a process that has done nothing else."""
    set_threads(job.threads)
    _timed(*_inputs(job, max(1, min(job.tokens) // 4)), path, backward=True)
    heads, pattern = _inputs(job, tokens)
    before, _ = _memory_mb()
    peaks = []
    for backward in (False, True):
        _timed(heads, pattern, path, backward)
        peaks.append(_memory_mb()[1] - before)
    return peaks[0], peaks[1]


def compare_paths(job: AttentionBenchmark, path: AttentionPath) -> dict:
    """Prints forward + backward of the dense and the long path by length, and from which length the long one wins."""
    rows = []
    for tokens in job.switch:
        heads, pattern = _inputs(job, tokens)
        times: dict[AttentionPath, list[float]] = {"dense": [], path: []}
        with threads(job.threads):
            for _ in range(job.repeats):
                # In turn, so that a busy machine slows both.
                for each in times:
                    times[each].append(_timed(heads, pattern, each, backward=True))
        dense, long = min(times["dense"]), min(times[path])
        rows.append({"tokens": tokens, "dense_s": dense, f"{path}_s": long})
        print(f"{tokens:>6} tokens, forward + backward: dense {dense:.4f} s, {path} {long:.4f} s", flush=True)
    point = switch_point([row["tokens"] for row in rows], [row["dense_s"] - row[f"{path}_s"] for row in rows])
    told = f"from {point} tokens on" if point else f"at none of these lengths, up to {max(job.switch)} tokens,"
    print(f"switch point: {told} {path} is faster than dense (the setting: beyond {DENSE_UP_TO})")
    return {"measured": rows, "tokens": point, "setting": DENSE_UP_TO}


def slope(lengths: list[int], costs: list[float]) -> float:
    """Exponent of growth: the least-squares slope of log cost over log length."""
    return float(np.polyfit(np.log(lengths), np.log(np.maximum(costs, 1e-9)), 1)[0])


def switch_point(lengths: list[int], gains: list[float]) -> int | None:
    """The shortest length from which on the gain is above 0 at every length; None if there is none."""
    point = None
    for length, gain in sorted(zip(lengths, gains, strict=True), reverse=True):
        if gain <= 0:
            break
        point = length
    return point


def _inputs(job: AttentionBenchmark, tokens: int) -> tuple[list[torch.Tensor], Pattern]:
    generator = torch.Generator().manual_seed(tokens)
    shape = (job.batch, tokens, job.heads, job.width)
    heads = [torch.randn(shape, generator=generator).to(device()).transpose(1, 2).requires_grad_() for _ in range(5)]
    is_global = torch.zeros(job.batch, tokens, dtype=torch.bool)
    is_global[:, np.linspace(0, tokens - 1, min(job.anchors, tokens)).astype(int)] = True
    return heads, Pattern(torch.ones_like(is_global).to(device()), is_global.to(device()), job.reach)


def _timed(heads: list[torch.Tensor], pattern: Pattern, path: AttentionPath, backward: bool) -> float:
    """Seconds of one layer, with the masks that a batch's layers share."""
    began = _clock()
    pattern = Pattern(pattern.real, pattern.is_global, pattern.reach)
    q, k, v, global_k, global_v = heads
    with torch.set_grad_enabled(backward):
        global_q = pattern.pick(q.transpose(1, 2)).transpose(1, 2)
        mixed = woven_attention(q, k, v, global_q, global_k, global_v, pattern, path)
        if backward:
            torch.autograd.grad(mixed.sum(), heads)
    return _clock() - began


def _clock() -> float:
    """Seconds by the clock once an accelerator is idle; without one, of this process on all its threads, so that other
    work on the machine counts for little."""
    if device().type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def _memory_mb() -> tuple[float, float]:
    """What this process, or its tensors on an accelerator, take now and have taken at most, in MB."""
    if device().type == "cuda":
        return torch.cuda.memory_allocated() / 2**20, torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status")
    if status.is_file():
        # What `getrusage` says on Linux starts at the parent's memory.
        held = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(held["VmRSS"].split()[0]) / 1024, int(held["VmHWM"].split()[0]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)
    return peak, peak
