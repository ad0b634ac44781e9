"""The search for a curriculum policy: Ray Tune and Optuna try candidates, and the best one becomes a file."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from jobs.console import Console
from jobs.exits import run_job
from jobs.options import SETTINGS, Flat, parse_job, refuse_disposable, spelt_out, stored_identity
from jobs.policy_file import write_policy
from jobs.search.space import Candidate
from jobs.search.study import COMPLETE, FAILED, PolicyStudy, Tried
from jobs.search.trial import SearchTrial
from resp_agent.curriculum.policies import NONE, parse_choice, policy_class
from resp_agent.durable import write_atomic
from resp_agent.errors import RunFailed, UserError
from resp_agent.report.search_figure import Tried as Drawn
from resp_agent.report.search_figure import history_figure, importance_figure
from resp_agent.report.style import LIGHT
from resp_agent.report.terminal import text_table
from resp_agent.report.words import count_of, score
from resp_agent.settings import Placement, Settings, from_plain, to_plain
from resp_agent.settings.checks import refuse
from resp_agent.storage import absolute, fetch, local, shown

BEST, RESULTS = "best_policy.yaml", "trials.parquet"


@dataclass(frozen=True)
class TuneJob:
    """A search for a curriculum policy. Each trial plays an episode on several seeds with one kind of policy, its
    parameters, a number of rounds, a learning rate and a share of synthetic clips; the mean macro-F1 on validation
    counts, and trials that fall behind are stopped early. First trainings are done once and shared by all."""

    trials: int = 30
    """Trials in all; a search that goes on makes up what is missing."""
    seeds: tuple[int, ...] = (1, 2)
    """Seeds that every trial plays: of the embedded corpus, training and episode. Judge what was found on others."""
    policies: tuple[str, ...] = ("thinker", "bandit-linucb", "bandit-thompson", "weakness", "hard-case", "random")
    """Kinds of policies to choose from."""
    at_once: int = 2
    """Trials at the same time."""
    cpus: float = 1.0
    """CPUs reserved for a trial's own process."""
    out: str = "search"
    """Folder of the search."""
    resume: str | None = None
    """The folder of a search to go on with; what was done is not done again."""
    first: str | None = None
    """Where first-trained models and corpora are kept and found again; by default in the folder."""
    settings: Annotated[Settings, Flat] = field(default_factory=Settings)
    place: Annotated[Placement, Flat] = field(default_factory=lambda: Placement(lab="local"))

    def __post_init__(self):
        refuse(self.trials < 1, f"{self.trials} trials find nothing: give at least 1")
        refuse(not self.seeds, "a trial without a seed plays nothing: give --seeds at least one")
        refuse(len(set(self.seeds)) < len(self.seeds), "a seed twice counts no more than once: give each once")
        refuse(self.at_once < 1 or not self.cpus > 0, "trials need room: --at-once at least 1, --cpus above 0")
        refuse(not self.policies, "there is nothing to choose from: give --policies at least one")
        for kind in self.policies:
            refuse(":" in kind and "=" in kind, f"{kind!r} has parameters: the search chooses them, name the kind")
            refuse(kind == NONE, "`none` synthesizes nothing, so there is nothing to search: leave it out")
            policy_class(kind)

    @property
    def folder(self) -> Path:
        """The search's folder."""
        return local(self.resume or self.out)


def tune(job: TuneJob) -> int:
    """Searches, or goes on with a search, and writes what was found; returns the exit code.

    Raises:
        UserError: the folder holds another search already.
        RunFailed: a trial cannot be placed, or no trial came to an end.
    """
    # Imported when needed: help and refusals know no Ray.
    from jobs.search.on_tune import bundles, check_room, prepare_all, search

    console, out = Console(), job.folder.resolve()
    _begin(job, out)
    first = local(job.first).resolve() if job.first else out / "first"
    some = SearchTrial(Candidate("random", {}), job.settings, job.seeds, out / "trials", first, job.place)
    some.folder.mkdir(parents=True, exist_ok=True)
    study = PolicyStudy(out, job.policies, some, job.settings.seed)
    again, done = study.take_up(), len(study.tried)
    place, cut = shown(out), f", {again} cut off" if again else ""
    console.say(f"search {place}: {count_of(job.trials, 'trial')}, {done} done{cut}")
    if done < job.trials:
        reserved = bundles(job.place, job.cpus, len(job.seeds))
        check_room(reserved)
        console.say(f"first trainings of seeds {', '.join(map(str, job.seeds))}")
        with console.watching(out / "preparing" / f"seed-{job.seeds[0]}" / "progress"):
            prepare_all(job.settings, job.seeds, first, out / "preparing", job.place, job.cpus)
        search(study, job.trials - done, job.at_once, reserved, out, _teller(console, study, job))
    _publish(job, study, out, console)
    return 0


def _begin(job: TuneJob, out: Path) -> None:
    begun, place = fetch(out / SETTINGS), shown(out)
    if begun.is_file() and not job.resume:
        raise UserError(f"{place} holds a search already: go on with it by --resume {place}, or give another --out")
    if not begun.is_file():
        try:
            out.mkdir(parents=True, exist_ok=True)
            plain = _identity(job) | {"first": job.first and absolute(job.first), "trials": job.trials}
            write_atomic(begun, yaml.safe_dump(plain, sort_keys=False).encode())
        except OSError as problem:
            raise UserError(f"{place} cannot be written ({problem.strerror}): give another --out") from problem


def _identity(job: TuneJob) -> dict:
    """What may not change between the parts of a search."""
    return {"seeds": list(job.seeds), "policies": list(job.policies), "settings": to_plain(job.settings)}


def _begun(folder: Path) -> TuneJob:
    stored = stored_identity(folder)
    return TuneJob(
        trials=stored["trials"],
        seeds=tuple(stored["seeds"]),
        policies=tuple(stored["policies"]),
        resume=shown(folder),
        first=stored["first"],
        settings=from_plain(stored["settings"]),
    )


def _teller(console: Console, study: PolicyStudy, job: TuneJob) -> Callable[[SearchTrial, dict | None], None]:
    """Says a line when a trial ends, and now and then how the best ones stand."""

    def told(trial: SearchTrial, round_: dict | None) -> None:
        if round_ is not None:
            return
        record = trial.record or {"rounds": [], "complete": False}
        tried = study.tried
        how = record.get("failed") or ("" if record["complete"] else "stopped early, ")
        reached = f"macro-F1 {record['rounds'][-1]['macro_f1']:.3f}" if record["rounds"] else "no round"
        console.say(f"{len(tried)}/{job.trials}  {trial.candidate.policy}  {how}{reached}")
        if len(tried) % 5 == 0 and len(tried) < job.trials:
            print("\n".join(_standing(tried)), flush=True)

    return told


def _standing(tried: list[Tried], most: int = 5) -> list[str]:
    """The best trials so far as a table."""
    ordered = sorted((one for one in tried if one.state == COMPLETE), key=lambda one: -one.score)[:most]
    head = ("trial", "policy", "settings", "macro-F1", "by seed")
    lines = [
        (
            str(one.number),
            one.candidate.policy,
            ", ".join(f"{name} {value:g}" for name, value in one.candidate.curriculum.items()),
            score(one.score),
            " ".join(f"{value:.3f}" for value in one.rounds[-1]["by_seed"]),
        )
        for one in ordered
    ]
    return text_table(head, lines, texts=3)


def _publish(job: TuneJob, study: PolicyStudy, out: Path, console: Console) -> None:
    """Writes results, figures and the best policy, and says where they are."""
    tried, best = study.tried, study.best
    table = pa.BufferOutputStream()
    pq.write_table(_as_table(tried, job), table)
    write_atomic(out / RESULTS, table.getvalue().to_pybytes())
    scored = [one for one in tried if one.score is not None]
    caption = (
        f"corpus {job.settings.corpus}, generator {job.settings.generator.kind}, seeds {', '.join(map(str, job.seeds))}"
    )
    if scored:
        drawn = [Drawn(parse_choice(one.candidate.policy).name, one.score, one.state == COMPLETE) for one in scored]
        write_atomic(out / "history.png", history_figure(drawn, caption, LIGHT))
    importances = study.importances()
    if importances:
        write_atomic(out / "importance.png", importance_figure(importances, caption, LIGHT))
    write_atomic(out / "importance.json", json.dumps(importances, indent=1).encode())
    if best is None:
        failed = [one.reason for one in tried if one.state == FAILED]
        raise RunFailed(f"no trial came to its end{': ' + failed[0] if failed else ''}; see {shown(out / RESULTS)}")
    write_policy(
        out / BEST,
        best.candidate.policy,
        _differing(best.candidate.settings(job.settings, 0)),
        valid_macro_f1=best.score,
        by_seed=dict(zip(job.seeds, best.rounds[-1]["by_seed"], strict=True)),
        seeds=list(job.seeds),
        trials=len(tried),
    )
    print("\n" + "\n".join(_standing(tried)))
    file = shown(out / BEST)
    console.say(f"best: {best.candidate.policy}, macro-F1 {best.score:.3f} on validation; policy file {file}")
    print(
        f"trials {shown(out / RESULTS)}\nfigures {shown(out / 'history.png')}"
        + (f" {shown(out / 'importance.png')}" if importances else "")
    )


def _as_table(tried: list[Tried], job: TuneJob) -> pa.Table:
    rows = [
        {
            "trial": one.number,
            "state": one.state,
            "policy": one.candidate.policy,
            "curriculum": json.dumps(dict(one.candidate.curriculum)),
            "valid_macro_f1": one.score,
            "clips": [step["clips"] for step in one.rounds],
            "valid_macro_f1_by_round": [step["macro_f1"] for step in one.rounds],
            "valid_macro_f1_by_seed": one.rounds[-1]["by_seed"] if one.rounds else [],
            "seeds": list(job.seeds),
            "reason": one.reason,
        }
        for one in tried
    ]
    schema = pa.schema(
        {
            "trial": pa.int32(), "state": pa.string(), "policy": pa.string(), "curriculum": pa.string(),
            "valid_macro_f1": pa.float64(), "clips": pa.list_(pa.int32()),
            "valid_macro_f1_by_round": pa.list_(pa.float64()), "valid_macro_f1_by_seed": pa.list_(pa.float64()),
            "seeds": pa.list_(pa.int64()), "reason": pa.string(),
        }
    )  # fmt: skip
    return pa.Table.from_pylist(rows, schema)


def _differing(settings: Settings) -> dict:
    """Settings as plain data, as far as their preset does not give them; the seed is the user's own."""

    def differing(now: dict, known: dict) -> dict:
        found = {}
        for name, value in now.items():
            if isinstance(value, dict):
                part = differing(value, known[name])
                found |= {name: part} if part else {}
            elif value != known[name]:
                found[name] = value
        return found

    plain = to_plain(settings)
    found = differing(plain, to_plain(from_plain({"preset": settings.preset})))
    return {"preset": settings.preset} | {
        name: value for name, value in found.items() if name not in ("seed", "preset")
    }


def parse(argv: list[str] | None) -> TuneJob:
    """A search from the command line; see `parse_job`."""
    argv = spelt_out(sys.argv[1:] if argv is None else argv)
    job = parse_job(TuneJob, "resp-agent tune", argv, _begun, _identity)
    refuse_disposable(job, job.first)
    return job


def main(argv: list[str] | None = None) -> int:
    """`resp-agent tune` and `python -m jobs.tune`; returns the exit code."""
    return run_job(lambda arguments: tune(parse(arguments)), argv)


if __name__ == "__main__":
    sys.exit(main())
