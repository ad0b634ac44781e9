"""How long a planned run may take, from what runs of the same sizes took; nothing is measured for it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from jobs.options import leaves
from jobs.plan import Plan, generator_steps
from resp_agent.curriculum.beacon import read_beacons
from resp_agent.curriculum.history import History, runs_in
from resp_agent.errors import UserError
from resp_agent.settings import Settings, from_plain, to_plain

FREE = {
    "seed",
    "steps",
    "learning_rate",
    "warmup",
    "weight_decay",
    "averaging",
    "clipping",
    "schedule",
    "budget",
    "rounds",
    "requests_per_round",
    "steps_per_round",
    "reward",
    "target_score",
}
"""Settings that change how many steps and clips there are, or what is learned, but not the time that one takes."""

REFERENCES = {
    "tiny": "preset tiny as it is took about 2 minutes on a machine of two CPU cores without a GPU, on Ray",
}
"""What is known of presets as they are, and of which kind of machine."""


@dataclass(frozen=True)
class Rates:
    """What one run took."""

    run: History
    generators: int
    ranks: int
    beside: bool
    """Whether generator and diagnoser were first trained at the same time, as on Ray."""
    start: float | None
    """Seconds for the corpus and the start of everything; of a run that was not resumed."""
    diagnoser: float | None
    """Seconds a step of the first training."""
    generator: float | None
    """Seconds a step of the generator's, all parts together, until both trainings are over; on Ray from the start of
    both."""
    clip: float | None
    step: float | None
    """Of a round."""
    judging: float | None
    report: float | None


@dataclass(frozen=True)
class Phase:
    """A phase that is to come."""

    name: str
    seconds: float | None
    """None: no run tells."""
    note: str = ""


def size_of(settings: Settings) -> dict:
    """What a step and a clip take their time by: two runs of equal sizes can be measured by each other."""
    return {name: value for name, value in leaves(to_plain(settings)).items() if name.rpartition(".")[2] not in FREE}


def known_runs(plan: Plan) -> list[Rates]:
    """Runs of the same preset and sizes beside the planned one and in `runs`, and what it did itself, as rates."""
    wanted = size_of(plan.settings)
    places = [place for place in (plan.job.folder.absolute().parent, Path("runs")) if place.is_dir()]
    found = []
    for run in runs_in(places):
        if run.state in ("broken", "no run") or run.rounds < 1:
            continue
        try:
            if size_of(from_plain(run.settings)) == wanted:
                found.append(_rates(run))
        except UserError:
            continue
    return found


def phases_of(plan: Plan, known: Sequence[Rates]) -> Iterator[Phase]:
    """The phases to come, each by the median of the runs that tell; of none where nothing is left."""
    if plan.complete:
        return
    left = {training.part: training.left for training in plan.trainings}
    diagnoser, generator = left.pop("diagnoser"), sum(left.values())
    yield Phase("start and corpus", _typical(known, "start"))
    rate = _typical(known, "diagnoser")
    alone = None if rate is None else rate * diagnoser
    if diagnoser:
        yield Phase("first training, diagnoser", alone)
    if generator:
        rate = _typical(known, "generator")
        both = None if rate is None else rate * generator
        beside = any(one.beside for one in known if one.generator is not None)
        if both is not None and beside:
            both = max(both - (alone or 0.0), 0.0)
        note = "what it takes longer" if beside and diagnoser else "at most" if beside else ""
        yield Phase("first training, generator", both, note)
    if plan.clips:
        rate = _typical(known, "clip")
        yield Phase("synthesis", None if rate is None else rate * plan.clips)
    if plan.steps:
        rate = _typical(known, "step")
        yield Phase("learning", None if rate is None else rate * plan.steps)
    yield Phase("test", _typical(known, "judging"))
    yield Phase("report", _typical(known, "report"))


def _typical(known: Sequence[Rates], name: str) -> float | None:
    values = [value for one in known if (value := getattr(one, name)) is not None]
    return median(values) if values else None


def _rates(run: History) -> Rates:
    roles = read_beacons(run.folder / "progress")
    beside = "generator-training" in roles
    settings = from_plain(run.settings)
    rounds = run.journal[1:]
    spans = {phase: sum(entry["seconds"][phase] for entry in rounds) for phase in ("synthesize", "learn", "round")}
    seconds = run.summary["seconds"] if run.summary else {}
    # What a run found trained, or trained in several parts, tells nothing of how long the training takes.
    whole = run.parts == 1 and run.first is None and bool(run.summary)
    diagnoser = seconds["diagnoser training"] if whole else None
    generator = seconds["generator training"] if whole else None
    parts = sum(generator_steps(settings).values())
    start = None
    if whole:
        named = ("diagnoser training", "generator training", "judging", "report")
        start = max(seconds["all"] - sum(seconds[name] for name in named) - spans["round"], 0.0)
    return Rates(
        run,
        sum(role.startswith("generator-") and role != "generator-training" for role in roles) or 1,
        sum(role.startswith("diagnoser-") for role in roles) or 1,
        beside,
        start,
        None if diagnoser is None else diagnoser / max(len(run.journal[0]["losses"]), 1),
        None if generator is None or not parts or not run.clips else (generator + beside * diagnoser) / parts,
        spans["synthesize"] / run.clips if run.clips else None,
        spans["learn"] / sum(len(entry["losses"]) for entry in rounds),
        seconds.get("judging"),
        seconds.get("report"),
    )
