"""Runs that differ in nothing but the seed, as one; what tells such groups apart, and whether they can be compared."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from jobs.options import leaves
from resp_agent.corpus.resolve import EMBEDDED
from resp_agent.curriculum.history import History
from resp_agent.errors import UserError
from resp_agent.metrics.paired import paired
from resp_agent.report.words import plain
from resp_agent.settings import from_plain, to_plain

LONGEST_NAME = 40
MOST_NAMED = 2
"""Settings beside the policy by which a group may be called."""


@dataclass(frozen=True)
class Group:
    """Runs with the same policy and settings, the seed apart."""

    name: str
    runs: tuple[History, ...]
    settings: dict[str, Any] = field(repr=False)
    """Name of a setting, `generator.kind` for example, or `policy` -> value."""

    @property
    def complete(self) -> list[History]:
        """Those that were judged."""
        return [run for run in self.runs if run.summary is not None]

    @property
    def seeds(self) -> list[int]:
        return sorted({run.seed for run in self.runs})

    def by_seed(self, name: str) -> dict[int, float]:
        """Seed -> a figure of the summaries; its mean where a seed was run more than once."""
        found: dict[int, list[float]] = defaultdict(list)
        for run in self.complete:
            found[run.seed].append(run.summary[name])
        return {seed: float(np.mean(values)) for seed, values in sorted(found.items())}

    def gains(self) -> dict[int, float]:
        """Seed -> gain in test macro-F1."""
        before, after = self.by_seed("test_macro_f1_before"), self.by_seed("test_macro_f1_after")
        return {seed: after[seed] - before[seed] for seed in after}

    def corpora(self) -> dict[int, set[str]]:
        """Seed -> fingerprints of the corpora of its runs."""
        found: dict[int, set[str]] = defaultdict(set)
        for run in self.runs:
            if run.fingerprint:
                found[run.seed].add(run.fingerprint)
        return found


@dataclass(frozen=True)
class Difference:
    """Two groups, compared over the seeds that both have."""

    name: str
    over: str
    seeds: tuple[int, ...]
    mean: float
    """Of test macro-F1 after the run."""
    interval: tuple[float, float]
    """95 %, Student's t, paired by seed."""


def drawn_from_seed(run: History) -> bool:
    """Whether the seed moves the corpus: its recordings, or how they are divided into splits."""
    return run.settings["corpus"] == EMBEDDED or "=" in run.settings["corpus"]


def grouped(runs: Sequence[History]) -> list[Group]:
    """The groups of some runs, in the order in which they are met."""
    found: dict[str, list[History]] = defaultdict(list)
    settings: dict[str, dict] = {}
    for run in runs:
        own = _settings(run)
        key = json.dumps(own, sort_keys=True)
        found[key].append(run)
        settings[key] = own
    unnamed = [Group("", tuple(sorted(found[key], key=lambda run: run.seed)), settings[key]) for key in found]
    names = _names(unnamed)
    return [Group(name, group.runs, group.settings) for name, group in zip(names, unnamed, strict=True)]


def differing(groups: Sequence[Group]) -> list[str]:
    """Settings that are not the same in all groups, in the order of the settings."""
    known = dict.fromkeys(name for group in groups for name in group.settings)
    return [name for name in known if any(group.settings.get(name) != groups[0].settings.get(name) for group in groups)]


def other_corpora(groups: Sequence[Group]) -> str | None:
    """Two groups that were not scored on the same recordings, in a phrase; None where all were.

    Where the seed draws the corpus, groups must share a seed, and every seed's corpus must be the same.
    """
    for one in groups:
        for seed, own in one.corpora().items():
            if len(own) > 1:
                return f"{one.name} with seed {seed} on two, {' and '.join(sorted(own))}"
    for one, other in combinations(groups, 2):
        ours, theirs = one.corpora(), other.corpora()
        if not ours or not theirs:
            continue
        shared = set(ours) & set(theirs)
        common = set.union(*ours.values()) & set.union(*theirs.values())
        if not common or (drawn_from_seed(one.runs[0]) and any(ours[seed] != theirs[seed] for seed in shared)):
            return f"{one.name} on {_corpus(one)} and {other.name} on {_corpus(other)}"
    return None


def refuse_other_corpora(groups: Sequence[Group]) -> None:
    """Raises UserError where runs were scored on different test splits."""
    found = other_corpora(groups)
    if found:
        raise UserError(
            f"these runs are of different corpora ({found}), so their scores are of different test splits: compare "
            "runs of one corpus, where the seed draws it with a seed in common, or add --different-corpora"
        )


def differences(groups: Sequence[Group]) -> Iterator[Difference]:
    """Every two groups that share two judged seeds or more."""
    for one, other in combinations(groups, 2):
        ours, theirs = one.by_seed("test_macro_f1_after"), other.by_seed("test_macro_f1_after")
        shared = tuple(seed for seed in ours if seed in theirs)
        if len(shared) > 1:
            yield Difference(one.name, other.name, shared, *paired([ours[seed] - theirs[seed] for seed in shared]))


def _settings(run: History) -> dict[str, Any]:
    """All settings but the seed. A corpus that does not depend on it counts by what is in it, wherever it lies."""
    try:
        whole = to_plain(from_plain(run.settings))
    except UserError:
        # Of another version: what it wrote down must do.
        whole = run.settings
    own = {"policy": run.policy} | leaves(whole)
    del own["seed"]
    if run.fingerprint and not drawn_from_seed(run):
        own["corpus"] = run.fingerprint
    return own


def _names(groups: Sequence[Group]) -> list[str]:
    """The policy and, where it is not the only one, what else tells it apart, if that is little; else folders, or
    numbers."""
    others = [name for name in differing(groups) if name != "policy"]
    policies = [group.settings["policy"] for group in groups]
    names = [
        ", ".join([policy, *(_said(name, group.settings.get(name)) for name in others if policies.count(policy) > 1)])
        for policy, group in zip(policies, groups, strict=True)
    ]
    if len(others) <= MOST_NAMED and max(map(len, names)) <= LONGEST_NAME:
        return names
    return [
        group.runs[0].folder.name if len(group.runs) == 1 else f"{policy} (group {number})"
        for number, (policy, group) in enumerate(zip(policies, groups, strict=True), start=1)
    ]


def _said(name: str, value: Any) -> str:
    *parents, last = name.split(".")
    return f"{parents[-1] if last == 'kind' and parents else last} {plain(value)}".replace("_", " ")


def _corpus(group: Group) -> str:
    run = group.runs[0]
    seeds = f" of seed {', '.join(map(str, group.seeds))}" if drawn_from_seed(run) else ""
    return f"{run.settings['corpus']}{seeds}"
