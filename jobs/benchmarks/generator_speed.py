"""The generator's speed at the paper's sizes against the plain libraries' path, in one process."""

import gc
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

import torch
import tyro

from jobs.benchmarks.generator_speed_paths import GUIDANCE, Asked, Ours, Sizes, asked_for
from jobs.benchmarks.generator_speed_reference import Reference
from jobs.benchmarks.generator_speed_solvers import REFERENCE, Chosen, Steps, choose_steps
from jobs.console import Console
from jobs.submitted import refuse_relative
from resp_agent.curriculum.folders import Folders
from resp_agent.durable import write_atomic
from resp_agent.errors import RunFailed
from resp_agent.metrics.embeddings import Embedder
from resp_agent.settings import EncoderSettings, preset
from resp_agent.settings.checks import refuse
from resp_agent.storage import local
from resp_agent.threads import set_threads
from resp_agent.training.distributed import device

TOLERANCE = 1e-4
"""Largest difference between the paths' log-mels, in natural log, and between their waveforms, full scale being 1."""
CHECKED_S = 0.3
"""Length of the clips on which both paths must agree."""
CHECKED_STEPS = 3
"""Euler steps with which they are rendered."""
FEW_STEPS = "flow_few_steps"
RESULTS = {
    "planner": (("planner",), ("planner",)),
    "flow": (("flow",), ("flow",)),
    FEW_STEPS: (("flow",), (FEW_STEPS,)),
    "vocoder": (("vocoder",), ("vocoder",)),
    "synthesis": (("planner", "flow", "vocoder"), ("planner", "flow", "vocoder")),
    "synthesis_few_steps": (("planner", "flow", "vocoder"), ("planner", FEW_STEPS, "vocoder")),
}
"""What is told -> the parts of which it is the sum: in the reference's path, in this project's."""


@dataclass(frozen=True)
class GeneratorSpeedBenchmark:
    """Planner, flow and vocoder with random weights, at the paper's sizes unless told otherwise, against the plain
    path: one clip at a time, transformers' `generate` over the whole vocabulary, guidance in two calls of the flow, 31
    Euler steps. Both have the same weights, threads and precision, and must agree on short clips before they are timed.
    How many steps this project's path takes is measured first, on a small trained flow."""

    out: str = "benchmarks"
    """Folder of corpus and trained flow, which other benchmarks share; a second run finds them there."""
    preset: str = "tiny"
    """Settings of the flow that is trained on the embedded corpus; on it steps are tried."""
    clip_s: float = 4.0
    """Length of a clip in seconds."""
    planner_batch: int = 16
    """Clips that this project's planner writes at once."""
    render_batch: int = 4
    """Clips that this project's flow and vocoder make at once."""
    repeats: int = 3
    """Times that every part is measured, the paths in turn; the median counts."""
    threads: int = os.cpu_count() or 1
    """Threads of torch."""
    per_cell: int = 4
    """Clips of each label and style from which a FAD is taken."""
    backbone: EncoderSettings = field(
        default_factory=lambda: EncoderSettings(kind="whisper", weights="openai/whisper-tiny.en")
    )
    """Frozen encoder whose features, averaged over time, are the embeddings of the FAD."""
    json: str | None = None
    """File for `synthesis`, `synthesis_few_steps` and the parts, each with reference_s, ours_s and ratio; seconds are
    those of one clip."""
    sizes: Annotated[Sizes, tyro.conf.arg(name="")] = field(default_factory=Sizes)

    def __post_init__(self):
        refuse(not 0.1 <= self.clip_s <= 60, f"clips of {self.clip_s:g} s: give 0.1 to 60 s")
        least = min(self.planner_batch, self.render_batch, self.repeats, self.threads)
        refuse(least < 1, "batches, repeats and threads are at least 1")
        refuse(
            self.render_batch > self.planner_batch,
            f"only {self.planner_batch} clips are planned at once, so {self.render_batch} cannot be rendered",
        )
        refuse(self.per_cell < 1, "a FAD of no clips says nothing: give --per-cell at least 1")


def speed_generator(job: GeneratorSpeedBenchmark) -> int:
    """Prints both times and their ratio for each part and for all of them together; returns the exit code.

    Raises:
        RunFailed: the paths do not agree, or no few steps are as good as the reference's.
    """
    refuse_relative("--out", job.out)
    console, folders = Console(), Folders.of(job.out, job.out)
    settings = preset(job.preset)
    embedder = Embedder(job.backbone, settings.audio)
    chosen = choose_steps(settings, folders, embedder, GUIDANCE, job.per_cell, console)
    del embedder
    gc.collect()
    set_threads(job.threads)
    turns = [asked_for(job.sizes, job.clip_s, job.planner_batch, turn) for turn in range(job.repeats)]
    first = turns[0][0]
    ours = Ours(job.sizes, first.noise.shape[1])
    reference = Reference(ours)
    console.say(
        f"clips of {job.clip_s:g} s, {len(first.draws)} units and {first.noise.shape[1]} frames each; planner of "
        f"{_millions(ours.planner)}, flow of {_millions(ours.flow)}, vocoder of {_millions(ours.vocoder)} parameters; "
        f"{job.threads} threads; {device()}; float32"
    )
    check(ours, reference, asked_for(job.sizes, min(CHECKED_S, job.clip_s), 2, job.repeats), console)
    result = summary(*alternated(ours, reference, turns, chosen, job.render_batch, console))
    for name, entry in result.items():
        rates = (job.clip_s / entry[side] for side in ("reference_s", "ours_s"))
        print(
            f"{name.replace('_', ' ')}: reference {entry['reference_s']:.2f} s, ours {entry['ours_s']:.2f} s, ratio "
            f"{entry['ratio']:.1f}; seconds of audio a second {' and '.join(f'{rate:.3g}' for rate in rates)}"
        )
    print(f"synthesis: {chosen.exact}; with few steps: {chosen.few}; reference: {REFERENCE}")
    if job.json:
        write_atomic(local(job.json), json.dumps(result, indent=1).encode())
    return 0


def check(ours: Ours, reference: Reference, clips: list[Asked], console: Console) -> None:
    """Both paths make the same of the same clips; warms both up, too.

    Raises:
        RunFailed: they do not.
    """
    units = ours.plan(clips, temperature=0.0)
    plain_units = torch.cat([reference.plan(clip, sampled=False) for clip in clips])
    if not torch.equal(units, plain_units):
        raise RunFailed("the paths' planners write other units for the same clips, so their times say nothing")
    log_mels = ours.render(clips, units, Steps("euler", CHECKED_STEPS, True))
    pairs = list(zip(clips, units.split(1), strict=True))
    plain = torch.cat([reference.render(clip, own, CHECKED_STEPS) for clip, own in pairs])
    waveforms = torch.cat([reference.vocode(one) for one in log_mels.split(1)])
    gaps = {"log-mel": log_mels - plain, "waveform": ours.vocode(log_mels) - waveforms}
    largest = {name: float(gap.abs().max()) for name, gap in gaps.items()}
    for name, gap in largest.items():
        if not gap <= TOLERANCE:
            raise RunFailed(f"the paths' {name}s differ by {gap:.2g}, more than {TOLERANCE:g}: times say nothing")
    told = ", ".join(f"{name} {gap:.1e}" for name, gap in largest.items())
    console.say(
        f"both paths agree on {len(clips)} clips: {units.numel()} greedy units are equal ({len(units.unique())} "
        f"different ones), largest differences {told}"
    )
    # The reference's sampled path has code of its own.
    reference.plan(clips[0])
    ours.plan(clips)


def alternated(
    ours: Ours, reference: Reference, turns: list[list[Asked]], chosen: Chosen, render_batch: int, console: Console
) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    """Seconds of a clip by part, of each turn: of the reference, and of this project.

    The paths take turns in going first, so that what else the machine does weighs on both alike.
    """
    theirs, own = [], []
    for turn, clips in enumerate(turns):
        if turn % 2 == 0:
            theirs.append(reference_times(reference, clips[0]))
        own.append(our_times(ours, clips, chosen, render_batch))
        if turn % 2 == 1:
            theirs.append(reference_times(reference, clips[0]))
        console.say(f"{turn + 1}/{len(turns)}  seconds of a clip: reference {_told(theirs)}; ours {_told(own)}")
    return theirs, own


def reference_times(reference: Reference, clip: Asked) -> dict[str, float]:
    """Seconds that the plain path takes for a clip, by part."""
    units, planner = timed(lambda: reference.plan(clip))
    log_mel, flow = timed(lambda: reference.render(clip, units, REFERENCE.count))
    _, vocoder = timed(lambda: reference.vocode(log_mel))
    return {"planner": planner, "flow": flow, "vocoder": vocoder}


def our_times(ours: Ours, clips: list[Asked], chosen: Chosen, render_batch: int) -> dict[str, float]:
    """Seconds that this project's path takes for each of the clips, by part. The first ones are rendered, too."""
    units, planner = timed(lambda: ours.plan(clips))
    rendered, units = clips[:render_batch], units[:render_batch]
    log_mels, flow = timed(lambda: ours.render(rendered, units, chosen.exact))
    _, few = timed(lambda: ours.render(rendered, units, chosen.few))
    _, vocoder = timed(lambda: ours.vocode(log_mels))
    each = {"flow": flow, FEW_STEPS: few, "vocoder": vocoder}
    return {"planner": planner / len(clips)} | {part: taken / len(rendered) for part, taken in each.items()}


def timed(work: Callable[[], torch.Tensor]) -> tuple[torch.Tensor, float]:
    """What the work makes, and its seconds."""
    _finish()
    began = time.monotonic()
    made = work()
    _finish()
    return made, time.monotonic() - began


def summary(reference: list[dict[str, float]], ours: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Medians over turns of parts and of their sums, and the ratios of the medians."""
    result = {}
    for name, (theirs, own) in RESULTS.items():
        medians = [
            statistics.median(sum(turn[part] for part in parts) for turn in turns)
            for parts, turns in ((theirs, reference), (own, ours))
        ]
        result[name] = dict(zip(("reference_s", "ours_s"), medians, strict=True), ratio=medians[0] / medians[1])
    return result


def _told(turns: list[dict[str, float]]) -> str:
    return ", ".join(f"{part.replace('_', ' ')} {taken:.2f}" for part, taken in turns[-1].items())


def _millions(model: torch.nn.Module) -> str:
    return f"{sum(parameter.numel() for parameter in model.parameters()) / 1e6:.1f} million"


def _finish() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
