"""`resp-agent curriculum --dry-run`: what a run would do, what it needs, and how long that may take."""

import os
import shutil
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from jobs.estimate import REFERENCES, Phase, Rates, known_runs, phases_of
from jobs.options import CurriculumJob
from jobs.plan import Plan, embedded_counts, plan_of, pretrained
from jobs.room import gpus, placed, reserved
from resp_agent.corpus.resolve import EMBEDDED
from resp_agent.corpus.schema import SAMPLE_RATE_HZ
from resp_agent.report.terminal import text_table, wrapped
from resp_agent.report.words import MISSING, count_of, duration
from resp_agent.storage import shown
from resp_agent.weights import here

MIB = 2**20
SAMPLE_BYTES = 2
"""Of 16-bit audio, which FLAC makes smaller."""
_DEVICES = ("CPU hours", "GPU hours")
"""Reserved from the first to the last phase, whoever works."""


def dry_run(job: CurriculumJob) -> int:
    """Prints the plan of a run. Writes nothing and starts nothing.

    Returns:
        0, or 1 where something that the run needs is missing.

    Raises:
        UserError: the run itself would be refused.
    """
    plan = plan_of(job)
    known = known_runs(plan)
    missing: list[str] = []
    print(_title(plan))
    if plan.complete:
        return 0
    parts = {
        "corpus": _corpus(plan),
        "first trainings": _trainings(plan),
        "rounds": _rounds(plan),
        "workers": placed(plan, missing),
        "disk": _disk(plan, known, missing),
        "time": _time(plan, known),
    }
    names = pretrained(plan.settings, plan.synthesis)
    if names:
        parts["pretrained weights"] = _weights(names, missing)
    for title, lines in parts.items():
        print("\n".join([f"\n{title}", *lines]))
    print()
    print("\n".join(f"missing: {sentence}" for sentence in missing) or "nothing is missing")
    return 1 if missing else 0


def _title(plan: Plan) -> str:
    folder = shown(plan.job.folder)
    if plan.complete:
        return f"the run {folder} is complete: nothing is left to do"
    if plan.done is None:
        return f"dry run: nothing is begun or written; the run would be {folder}, of policy {plan.job.policy}"
    if plan.done.state == "running":
        return f"dry run: {folder} seems to be running now ({plan.done.why}); what is left of it"
    return f"dry run: nothing is begun or written; {folder} would go on ({plan.done.why})"


def _corpus(plan: Plan) -> Iterator[str]:
    # Paths stand on lines of their own, whole, to be copied.
    settings = plan.settings
    if plan.corpus:
        yield wrapped(f"{settings.corpus}: {plan.corpus.describe()}; it is there:")
        yield f"    {shown(plan.corpus.path)}"
        return
    if settings.corpus == EMBEDDED:
        counts, labels, styles = embedded_counts(settings)
        yield wrapped(
            f"{EMBEDDED}: {counts['train']} recordings ({counts['valid']} for validation, {counts['test']} for the "
            f"test), {labels} labels, {styles} styles; it would be simulated into"
        )
    else:
        yield wrapped(
            f"{settings.corpus}: raw recordings; what they hold is known once they are built (`corpus build` does only "
            "that, and `corpus stats` tells); they would be built into"
        )
    yield f"    {shown(plan.corpus_folder)}"


def _trainings(plan: Plan) -> Iterator[str]:
    for one in plan.trainings:
        if not one.left:
            state = "there"
        elif one.done:
            state = f"needed, {one.done} steps are done"
        else:
            state = "needed"
        yield f"  {one.part:<10} {count_of(one.steps, 'step'):>12}  {state}  ({one.where})"
    if len(plan.trainings) == 1:
        why = (
            "the policy synthesizes nothing" if not plan.synthesis else f"{plan.settings.generator.kind} learns nothing"
        )
        yield f"  no generator is trained: {why}"


def _rounds(plan: Plan) -> Iterator[str]:
    how, rounds = plan.settings.curriculum, plan.rounds
    yield wrapped(
        f"{count_of(len(rounds), 'round')} to do of {how.rounds}, of {how.steps_per_round} optimizer steps each "
        f"({plan.steps:,} in all)"
    )
    if plan.clips:
        several = ", ".join(f"{len(list(same))} x {clips}" for clips, same in groupby(one.clips for one in rounds))
        most = max(one.requests for one in rounds)
        yield wrapped(f"{plan.clips:,} clips of a budget of {how.budget:,}, by round: {several}")
        yield wrapped(f"{count_of(most, 'request')} a round at most, {sum(one.requests for one in rounds):,} in all")
    else:
        yield wrapped("no clips are synthesized")
    if how.target_score < 1:
        yield wrapped(f"fewer, if validation reaches {how.target_score:g} before")


def _disk(plan: Plan, known: Sequence[Rates], missing: list[str]) -> Iterator[str]:
    settings = plan.settings
    clips = plan.clips * settings.audio.clip_s * SAMPLE_RATE_HZ * SAMPLE_BYTES / MIB
    corpus = 0.0
    if plan.corpus is None and settings.corpus == EMBEDDED:
        seconds = sum(embedded_counts(settings)[0].values()) * settings.simulation.duration_s
        corpus = seconds * SAMPLE_RATE_HZ * SAMPLE_BYTES / MIB
    if plan.clips:
        yield wrapped(f"clips: at most {_mib(clips)}, as 16-bit audio of {settings.audio.clip_s:g} s")
    whole = [one.run for one in known if one.run.state == "complete" and one.run.first is None]
    # Clips apart, whose number may be another.
    rest = max((_size(run.folder) - _size(run.folder / "synthetic") for run in whole), default=None)
    if rest is None:
        if corpus:
            yield wrapped(f"corpus: at most {_mib(corpus)}")
        yield wrapped("models, features and report: no run of this size is known here, so their size is not known")
    else:
        yield wrapped(f"corpus, models, features and report: {_mib(rest)}, as in a run of this size")
    there = plan.job.folder.absolute()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free / MIB
    yield wrapped(f"free in {there}: {_mib(free)}")
    if not os.access(there, os.W_OK):
        missing.append(f"permission to write in {there}: give another --out")
    needed = clips + (corpus if rest is None else rest)
    if needed > free:
        missing.append(f"disk space in {there}: {_mib(free)} are free and {_mib(needed)} needed; give another --out")


def _time(plan: Plan, known: Sequence[Rates]) -> Iterator[str]:
    phases = list(phases_of(plan, known))
    if not known:
        yield wrapped("no run of this size is known here: time unknown")
        if plan.settings.preset in REFERENCES:
            yield wrapped(f"for orientation: {REFERENCES[plan.settings.preset]}")
        return
    yield from text_table(("phase", "time", *_DEVICES), [_span(plan, phase) for phase in phases], texts=1)
    total = sum(phase.seconds or 0.0 for phase in phases)
    unknown = [phase.name for phase in phases if phase.seconds is None]
    yield wrapped(
        f"in all {'at least ' if unknown else ''}{duration(total)}"
        + (f"; no run tells how long {', '.join(unknown)} takes" if unknown else "")
    )
    yield wrapped(f"by steps and clips, from {count_of(len(known), 'run')} of this size:")
    yield from (f"    {shown(one.run.folder)}" for one in known)
    place = plan.job.place
    ours = (place.generators, place.diagnoser_workers) if place.lab == "ray" else (1, 1)
    others = {(one.generators, one.ranks) for one in known if one.clip is not None} - {ours}
    if others:
        each = [f"{count_of(makers, 'generator worker')} and {count_of(ranks, 'rank')}" for makers, ranks in others]
        told = " or ".join(sorted(each))
        yield wrapped(f"some of it was measured with {told}; this run has {ours[0]} and {ours[1]}")
    yield wrapped("which machine they ran on is not noted: on another one times are other ones")


def _span(plan: Plan, phase: Phase) -> tuple[str, ...]:
    if plan.job.place.lab == "local":
        held = {"CPU": float(plan.settings.threads), "GPU": float(min(gpus(), 1))}
    else:
        held = reserved(plan)
    hours = None if phase.seconds is None else phase.seconds / 3600
    spent = [MISSING if hours is None else f"{hours * held[kind]:.2f}" for kind in ("CPU", "GPU")]
    return (phase.name + (f" ({phase.note})" if phase.note else ""), duration(phase.seconds), *spent)


def _weights(names: Sequence[str], missing: list[str]) -> Iterator[str]:
    for name in names:
        found = here(name)
        if found is None and "/" not in name:
            missing.append(f"the weights {name}: give their path, or a folder that holds them in RESP_AGENT_WEIGHTS")
        yield wrapped(f"{name}: {found or ('not here: taken from the hub' if '/' in name else 'not here')}")


def _size(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / MIB


def _mib(size: float) -> str:
    return f"{size / 1024:.1f} GiB" if size >= 1024 else f"{size:.0f} MiB"
