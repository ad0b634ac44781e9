"""What the workers of a planned run reserve, and whether this machine or the cluster of RAY_ADDRESS has it."""

import os
from collections.abc import Iterator

from actors.endpoint import OWN
from jobs.plan import Plan
from jobs.reach import reach, resources
from resp_agent.report.terminal import wrapped
from resp_agent.report.words import count_of


def placed(plan: Plan, missing: list[str]) -> Iterator[str]:
    """Lines on the workers of a run; what they lack is added to `missing`."""
    place = plan.job.place
    if place.lab == "local":
        yield wrapped(f"all in this process, on {count_of(plan.settings.threads, 'thread')} (--lab local)")
        return
    groups = [(place.diagnoser_workers, place.diagnoser_cpus, place.diagnoser_gpus, "rank", "of the diagnoser")]
    if plan.synthesis:
        groups.append((most_generators(plan), place.generator_cpus, place.generator_gpus, "generator worker", ""))
    for count, cpu, gpu, noun, of in groups:
        idle = place.generators - count if noun == "generator worker" else 0
        more = f"; a round has {count_of(count, 'request')}, so {idle} more would have no work" if idle else ""
        yield wrapped(f"{' '.join(filter(None, (count_of(count, noun), of)))}: {cpu:g} CPU and {gpu:g} GPU each{more}")
    needed = reserved(plan)
    address = os.environ.get("RAY_ADDRESS", "")
    if address in OWN:
        where, there = "this machine", {"CPU": (0.0, float(cores())), "GPU": (0.0, float(gpus()))}
    else:
        said, wrong = reach(address)
        where, there = "the cluster", resources(address)
        yield wrapped(said)
        if wrong:
            missing.append(wrong)
            return
    told = ", ".join(f"{amount:g} {kind}" for kind, amount in needed.items())
    if there is None:
        yield wrapped(f"reserved in all: {told}; what the cluster has cannot be asked through this address")
        return
    had = ", ".join(
        f"{total:g} {kind}" + (f" ({used:g} in use)" if used else "") for kind, (used, total) in there.items()
    )
    yield wrapped(f"reserved in all: {told}; {where} has {had}")
    least = reserved(plan, 1)
    for kind, amount in needed.items():
        total = there.get(kind, (0.0, 0.0))[1]
        if least[kind] > total:
            missing.append(
                f"{least[kind]:g} {kind} are reserved and {where} has {total:g}: the run would stop after "
                f"{place.placement_timeout_s:g} s; lower the reservations or the number of workers, or use --lab local"
            )
        elif amount > total:
            each = place.generator_cpus if kind == "CPU" else place.generator_gpus
            fit = 1 + int((total - least[kind]) / each + 1e-9)
            yield wrapped(f"for want of {kind}, {fit} of the generator workers would be at work until {where} has more")


def reserved(plan: Plan, generators: int | None = None) -> dict[str, float]:
    """What the workers on Ray reserve in all, by kind; with so many generator workers, where that is given."""
    place, makes = plan.job.place, plan.synthesis
    makes *= most_generators(plan) if generators is None else generators
    return {
        "CPU": place.diagnoser_workers * place.diagnoser_cpus + makes * place.generator_cpus,
        "GPU": place.diagnoser_workers * place.diagnoser_gpus + makes * place.generator_gpus,
    }


def most_generators(plan: Plan) -> int:
    """Generator workers that a run would use: more than there are requests in a round would have nothing to do."""
    return min(plan.job.place.generators, plan.settings.curriculum.requests_per_round)


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> int:
    """GPUs that torch sees here."""
    # Imported when needed: torch takes seconds.
    import torch

    return torch.cuda.device_count()
