"""How much a reward can be trusted: what it varies by between actions, and between repetitions of one."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import gymnasium
import numpy as np

from jobs.console import Console
from jobs.options import Flat
from jobs.submitted import refuse_relative
from resp_agent.curriculum.folders import Folders
from resp_agent.curriculum.judge import Judge
from resp_agent.curriculum.policies import make_policy
from resp_agent.durable import write_atomic
from resp_agent.randomness import seed_of, stream
from resp_agent.report.terminal import text_table, wrapped
from resp_agent.report.words import MISSING, score
from resp_agent.settings import Settings, fingerprint
from resp_agent.settings.checks import refuse
from resp_agent.storage import fetch, remove

REWARDS = {"macro_f1": "macro-F1", "soft_macro_f1": "soft macro-F1"}
"""What may be paid, by its name in the environment's info -> in the table; both of averaged weights."""


@dataclass(frozen=True)
class RewardBenchmark:
    """What a reward tells of an action: first rounds of random actions, each repeated with other draws of clips and
    batches, and what the test split says of them. The policies and the search see none of it."""

    out: str = "benchmarks"
    """Folder of results and table (JSON)."""
    seeds: tuple[int, ...] = (11, 12)
    """Seeds: of corpus and training."""
    actions: int = 8
    """Actions of each seed."""
    repeats: int = 4
    """Times that each is taken."""
    settings: Annotated[Settings, Flat] = field(default_factory=Settings)

    def __post_init__(self):
        refuse(not self.seeds, "a table without a seed has no results: give --seeds at least one")
        refuse(
            self.actions < 2 or self.repeats < 2,
            f"{self.actions} actions taken {self.repeats} times show no deviation: give at least 2 of each",
        )


def reward(job: RewardBenchmark) -> int:
    """Plays the rounds that are not played yet, prints the table and writes it; returns the exit code."""
    refuse_relative("--out", job.out)
    console, folders = Console(), Folders.of(job.out, job.out)
    gains = []
    for seed in job.seeds:
        settings = dataclasses.replace(job.settings, seed=seed)
        path = folders.workspace / "reward-trials" / f"{fingerprint(settings, job.actions, job.repeats)}.json"
        if not fetch(path).is_file():
            console.say(f"seed {seed}: {job.actions} actions, {job.repeats} times each")
            write_atomic(path, json.dumps(_played(settings, job, folders, path.with_suffix(""))).encode())
        gains.append({name: np.array(values) for name, values in json.loads(path.read_text()).items()})
    rows = {name: trust([one[name] for one in gains], [one["test"] for one in gains]) for name in REWARDS}
    print("\n" + _printed(rows, job))
    plain = {name: dataclasses.asdict(row) for name, row in rows.items()}
    where = folders.workspace / "reward.json"
    write_atomic(where, json.dumps(plain, indent=1).encode())
    print(f"table {where}")
    return 0


@dataclass(frozen=True)
class Trust:
    """What is known of a reward. None: it never varied."""

    across: float
    """Standard deviation between actions, the noise of their means taken out."""
    within: float
    """Standard deviation between repetitions of an action."""
    correlation: float | None
    """Of one round's reward with its gain on the test split, over actions and repetitions, seeds apart."""

    @property
    def noise(self) -> float | None:
        """Share of one reward's variance that is noise."""
        whole = self.across**2 + self.within**2
        return self.within**2 / whole if whole > 0 else None


def trust(rewards: Sequence[np.ndarray], test: Sequence[np.ndarray]) -> Trust:
    """From (A, B) rewards and test gains of A actions taken B times each, one array a seed."""
    repeats = rewards[0].shape[1]
    within = float(np.mean([one.var(axis=1, ddof=1).mean() for one in rewards]))
    means = float(np.mean([one.mean(axis=1).var(ddof=1) for one in rewards]))
    ours = np.concatenate([(one - one.mean()).ravel() for one in rewards])
    theirs = np.concatenate([(one - one.mean()).ravel() for one in test])
    moved = ours.std() > 0 and theirs.std() > 0
    return Trust(
        float(np.sqrt(max(means - within / repeats, 0.0))),
        float(np.sqrt(within)),
        float(np.corrcoef(ours, theirs)[0, 1]) if moved else None,
    )


def _played(settings: Settings, job: RewardBenchmark, folders: Folders, workspace: Path) -> dict[str, list]:
    """Gains of the first round by (action, repetition), on validation by each reward and on the test split."""
    remove(workspace)
    gains: dict[str, list] = {name: [] for name in (*REWARDS, "test")}
    how = settings.curriculum
    try:
        with gymnasium.make(
            "envs:RespCurriculum-v0",
            settings=settings,
            workspace=str(workspace),
            lab_options={"first": str(folders.first)},
        ) as env:
            lab = env.unwrapped.lab
            lab.prepare()
            judge = Judge(settings, lab.corpus, folders.features)
            first = judge.score(lab.first_checkpoint).macro_f1
            for number in range(job.actions):
                rows: dict[str, list] = {name: [] for name in gains}
                for repeat in range(job.repeats):
                    policy = make_policy("random", lab.labels, lab.styles, how.requests_per_round, how.hardness_levels)
                    episode = seed_of(settings.seed, "reward", repeat) % 2**31
                    observation, before = env.reset(seed=episode)
                    action = policy.decide(observation, stream(settings.seed, "reward", "action", number))
                    *_, after = env.step(action)
                    for name in REWARDS:
                        rows[name].append(after[name] - before[name])
                    rows["test"].append(judge.score(lab.checkpoint).macro_f1 - first)
                for name, values in rows.items():
                    gains[name].append(values)
    finally:
        remove(workspace)
    return gains


def _printed(rows: dict[str, Trust], job: RewardBenchmark) -> str:
    head = ("reward", "sd across actions", "sd within an action", "noise", "correlation with the test gain")
    lines = [
        (
            REWARDS[name],
            score(row.across),
            score(row.within),
            f"{row.noise:.0%}" if row.noise is not None else MISSING,
            score(row.correlation, 2),
        )
        for name, row in rows.items()
    ]
    notes = [
        f"gain of the first round, averaged weights; {job.actions} random actions taken {job.repeats} times on each of "
        f"the seeds {', '.join(map(str, job.seeds))}; generator {job.settings.generator.kind}",
        "across: deviation of the actions' means, with the noise of the means taken out; noise: share of one reward's "
        "variance that repeating the action would change",
    ]
    table = "\n".join(["What a reward tells of an action", *text_table(head, lines, texts=1)])
    return "\n\n".join([table, "\n".join(["Notes", *(wrapped(note) for note in notes)])]) + "\n"
