"""The diagnoser's speed at the paper's sizes against the path that the release runs, in one process."""

import gc
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from jobs.benchmarks.speed_paths import Clip, Ours, Reference, Sizes, make_clips
from resp_agent.corpus.schema import SAMPLE_RATE_HZ
from resp_agent.durable import write_atomic
from resp_agent.encoders.beats_model import Beats, BeatsSettings
from resp_agent.settings.checks import refuse
from resp_agent.storage import local
from resp_agent.training.distributed import device


@dataclass(frozen=True)
class SpeedBenchmark:
    """A training step and inference of the weaving diagnoser with random weights, at the paper's sizes unless told
    otherwise, against the release's path: transformers' Longformer with gradient checkpointing on 496 slots of a clip
    padded to 10 s, the encoder inside the step. Both sides use the same BEATs and the same optimizer."""

    batch: int = 4
    """Clips of a batch."""
    layers: int = 12
    """Layers of Longformer and BEATs."""
    width: int = 768
    """Width of both."""
    heads: int = 12
    """Attention heads of both."""
    window: int = 512
    """Tokens of the attention window, both sides together."""
    anchor_ms: int = 160
    """Distance of anchors: 160, or 80, for which BEATs hears every clip twice."""
    repeats: int = 3
    """Times that every part is measured, in turn; the median counts."""
    threads: int = os.cpu_count() or 1
    """Threads of torch."""
    json: str | None = None
    """File for `training_step`, `training_step_cached` and `inference`, each with reference_s, ours_s and ratio."""

    def __post_init__(self):
        refuse(self.batch < 1 or self.repeats < 1, "a batch and the repeats are at least 1")
        refuse(self.width % self.heads != 0, f"a width of {self.width} does not divide into {self.heads} heads")
        refuse(self.anchor_ms not in (80, 160), f"BEATs gives tokens every 80 or 160 ms, not {self.anchor_ms}")


def speed_diagnoser(job: SpeedBenchmark) -> int:
    """Prints both times and their ratio for each part."""
    torch.set_num_threads(job.threads)
    torch.manual_seed(0)
    sizes = Sizes(job.layers, job.width, job.heads, job.window, job.anchor_ms)
    settings = BeatsSettings(width=job.width, feedforward=4 * job.width, heads=job.heads, layers=job.layers)
    beats = Beats(settings).to(device()).eval().requires_grad_(False)
    turns = [make_clips(job.batch, turn) for turn in range(job.repeats + 1)]
    mean_s = np.mean([len(clip.waveform) for clips in turns for clip in clips]) / SAMPLE_RATE_HZ
    print(
        f"{job.batch} clips a batch, {mean_s:.1f} s each on average; {job.layers} layers of {job.width} in BEATs and "
        f"Longformer; {job.threads} threads; {device()}",
        flush=True,
    )
    reference = reference_times(sizes, beats, turns)
    # Memory of the one path is free before the other begins.
    gc.collect()
    ours = our_times(sizes, beats, turns)
    result = {part: _ratio(reference[part.removesuffix("_cached")], seconds) for part, seconds in ours.items()}
    for part, entry in result.items():
        print(
            f"{part.replace('_', ' ')}: reference {entry['reference_s']:.2f} s, ours {entry['ours_s']:.2f} s, "
            f"ratio {entry['ratio']:.1f}"
        )
    if job.json:
        write_atomic(local(job.json), json.dumps(result, indent=1).encode())
    return 0


def reference_times(sizes: Sizes, beats: Beats, turns: list[list[Clip]]) -> dict[str, float]:
    """Seconds of the release's path by part."""
    reference = Reference(sizes, beats).to(device())
    step = stepper(reference, lambda clips: reference(clips).loss)
    training = seconds_of("training step, reference", step, turns)
    reference.eval()
    infer = torch.inference_mode()(lambda clips: reference(clips).logits)
    return {"training_step": training, "inference": seconds_of("inference, reference", infer, turns)}


def our_times(sizes: Sizes, beats: Beats, turns: list[list[Clip]]) -> dict[str, float]:
    """Seconds of this project's path by part; for `training_step_cached` frames are there before the step begins."""
    with tempfile.TemporaryDirectory() as place:
        ours = Ours(sizes, beats, Path(place))
    ours.model.to(device())
    step = stepper(ours.model, ours.model)
    encoded = [ours.examples(clips) for clips in turns]
    training = seconds_of("training step, ours", lambda clips: step(ours.batch(ours.examples(clips))), turns)
    cached = seconds_of("training step with cached features, ours", lambda frames: step(ours.batch(frames)), encoded)
    ours.model.eval()
    inference = seconds_of("inference, ours", torch.inference_mode()(ours.diagnose), turns)
    return {"training_step": training, "training_step_cached": cached, "inference": inference}


def stepper(model: nn.Module, loss_of: Callable) -> Callable:
    """A whole training step: forward, backward, clipping, AdamW."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, foreach=True)

    def step(batch) -> None:
        loss = loss_of(batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
        optimizer.step()

    return step


def seconds_of(what: str, work: Callable, turns: list) -> float:
    """Median seconds of the work on each turn but the first, which warms up."""
    times = []
    for turn in turns:
        _finish()
        began = time.monotonic()
        work(turn)
        _finish()
        times.append(time.monotonic() - began)
    median = statistics.median(times[1:])
    print(f"  {what}: {median:.2f} s", flush=True)
    return median


def _ratio(reference_s: float, ours_s: float) -> dict[str, float]:
    return {"reference_s": reference_s, "ours_s": ours_s, "ratio": reference_s / ours_s}


def _finish() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
