"""What a search moves: the kind of policy, that kind's parameters, and how the diagnoser learns beside it."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from resp_agent.curriculum.policies import PolicyChoice
from resp_agent.curriculum.policies.features import FEATURES
from resp_agent.settings import Settings, to_plain


class Suggests(Protocol):
    """What the space needs of an Optuna trial."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...

    def suggest_categorical(self, name: str, choices: Sequence) -> Any: ...


def _thinker(trial: Suggests, levels: int) -> dict[str, float]:
    found = {name: trial.suggest_float(f"thinker.{name}", 0.0, 1.0) for name in FEATURES}
    found["temperature"] = trial.suggest_float("thinker.temperature", 0.02, 1.0, log=True)
    found["exploration"] = trial.suggest_float("thinker.exploration", 0.0, 0.5)
    if levels > 1:
        found["hardness"] = trial.suggest_float("thinker.hardness", 0.0, 1.0)
    return found


def _bandit(name: str) -> Callable[[Suggests, int], dict[str, float]]:
    def parameters(trial: Suggests, levels: int) -> dict[str, float]:
        found = {
            "scale": trial.suggest_float(f"{name}.scale", 2e-4, 2e-2, log=True),
            "ridge": trial.suggest_float(f"{name}.ridge", 0.1, 10.0, log=True),
            "memory": trial.suggest_float(f"{name}.memory", 0.7, 1.0),
        }
        if name == "bandit-linucb":
            found["alpha"] = trial.suggest_float(f"{name}.alpha", 0.0, 2.0)
        return found

    return parameters


PARAMETERS: dict[str, Callable[[Suggests, int], dict[str, float]]] = {
    "thinker": _thinker,
    "bandit-linucb": _bandit("bandit-linucb"),
    "bandit-thompson": _bandit("bandit-thompson"),
}
"""Kind of policy -> what is searched of its parameters, given the levels of hardness; of the others, nothing."""

ROUNDS = (0.5, 1.0, 2.0)
"""Rounds as multiples of the preset's: more rounds are fewer clips and optimizer steps in each, the same in all."""


@dataclass(frozen=True)
class Candidate:
    """A point of the space: what a trial plays."""

    policy: str
    """As on the command line."""
    curriculum: Mapping[str, float | int]
    """Settings of the curriculum that differ from the search's."""

    def settings(self, base: Settings, seed: int) -> Settings:
        """Those of an episode."""
        curriculum = dataclasses.replace(base.curriculum, **self.curriculum)
        return dataclasses.replace(base, seed=seed, curriculum=curriculum)

    def to_plain(self) -> dict:
        """As plain data."""
        return {"policy": self.policy, "curriculum": dict(self.curriculum)}


def suggest(trial: Suggests, kinds: Sequence[str], base: Settings) -> Candidate:
    """Asks a trial for a candidate; what is asked depends on what was answered before (define by run).

    Args:
        kinds: of policies, by name.
        base: the search's settings; total clips and optimizer steps stay theirs.
    """
    kind = trial.suggest_categorical("policy", list(kinds))
    how = base.curriculum
    asked = PARAMETERS[kind](trial, how.hardness_levels) if kind in PARAMETERS else {}
    parameters = {name: rounded(value) for name, value in asked.items()}
    # An episode has whole rounds of whole steps.
    possible = sorted({max(1, round(how.rounds * multiple)) for multiple in ROUNDS} & _divisors(how))
    rounds = trial.suggest_categorical("rounds", possible)
    rate = trial.suggest_float("learning_rate", how.learning_rate / 3, how.learning_rate * 3, log=True)
    share = trial.suggest_float("synthetic_share", 0.3, 0.7)
    changed = {
        "rounds": rounds,
        "steps_per_round": how.rounds * how.steps_per_round // rounds,
        "learning_rate": rounded(rate),
        "synthetic_share": rounded(share),
    }
    known = to_plain(how)
    return Candidate(
        str(PolicyChoice(kind, parameters)), {name: value for name, value in changed.items() if value != known[name]}
    )


def rounded(value: float) -> float:
    """To three digits: what a file says is what was tried."""
    return float(f"{value:.3g}")


def _divisors(how: Any) -> set[int]:
    steps = how.rounds * how.steps_per_round
    return {rounds for rounds in range(1, steps + 1) if steps % rounds == 0 and rounds <= how.budget}
