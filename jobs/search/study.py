"""The study: which trials there were, from Optuna's journal and the trials' records. It outlives the process."""

import dataclasses
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.importance import get_param_importances
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FixedTrial, TrialState

from jobs.search.space import Candidate, suggest
from jobs.search.trial import SearchTrial
from resp_agent.randomness import seed_of
from resp_agent.settings import Settings
from resp_agent.storage import fetch, publish

NAME = "policies"
COMPLETE, STOPPED, FAILED = "complete", "stopped early", "failed"


@dataclass(frozen=True)
class Tried:
    """A trial that has ended."""

    number: int
    """From 0, in the order in which they were first suggested."""
    candidate: Candidate
    state: str
    rounds: tuple[dict, ...]
    """What each round came to: `clips`, `macro_f1` (mean over seeds), `by_seed`."""
    reason: str = ""
    """Why it failed."""

    @property
    def score(self) -> float | None:
        """Mean macro-F1 on validation after its last round; None before the first."""
        return self.rounds[-1]["macro_f1"] if self.rounds else None


class _Journal(JournalFileBackend):
    """A file, which is put on the store that it mirrors whenever it grows."""

    def __init__(self, path: Path):
        super().__init__(str(path))
        self._path = path

    def append_logs(self, logs: list[dict]) -> None:
        super().append_logs(logs)
        publish(self._path)


class PolicyStudy:
    """The journal of a search, and what follows from it.

    A trial that was being played when a search was killed is suggested again before any other.
    """

    def __init__(self, folder: Path, kinds: Sequence[str], trial: SearchTrial, seed: int):
        """`trial`: any trial of the search, for what they have in common; `seed`: of the sampler."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.storage = JournalStorage(_Journal(fetch(folder / "study.journal")))
        self._kinds, self._any = list(kinds), trial
        self._study = optuna.create_study(
            storage=self.storage, study_name=NAME, direction="maximize", load_if_exists=True
        )
        # Where a search goes on, its sampler must not repeat what it suggested at first.
        self.sampler = TPESampler(seed=seed_of(seed, "search", len(self._study.trials)) % 2**32, n_startup_trials=5)

    def space(self, trial: optuna.Trial) -> dict:
        """What Tune asks for each trial: the parameters, and with them what a worker plays."""
        return {"played": self.played(suggest(trial, self._kinds, self._any.settings)).to_plain()}

    def played(self, candidate: Candidate) -> SearchTrial:
        """The trial of a candidate."""
        return dataclasses.replace(self._any, candidate=candidate)

    @property
    def any_settings(self) -> Settings:
        """The search's settings."""
        return self._any.settings

    def take_up(self) -> int:
        """Trials that were being played go back into the queue; returns how many."""
        cut = [one for one in self._study.trials if one.state == TrialState.RUNNING]
        waiting = {self._key(one.system_attrs["fixed_params"]) for one in self._study.trials
                   if one.state == TrialState.WAITING and "fixed_params" in one.system_attrs}  # fmt: skip
        for one in cut:
            self._study.tell(one.number, state=TrialState.FAIL)
            # What was cut off before it was whole has no parameters to go on with.
            key = self._key(one.params)
            if key and key not in waiting:
                self._study.enqueue_trial(one.params)
        return len(cut)

    @property
    def tried(self) -> list[Tried]:
        """Trials that have ended, each once."""
        found: dict[str, Tried] = {}
        for one in self._study.get_trials(deepcopy=False):
            candidate = self._candidate(one.params)
            if candidate is None:
                continue
            trial = self.played(candidate)
            record = trial.record or {"rounds": [], "complete": False}
            if one.state == TrialState.COMPLETE:
                state = COMPLETE if record["complete"] else STOPPED
            elif one.state == TrialState.FAIL and "failed" in record:
                state = FAILED
            else:
                continue
            known = found.get(trial.key)
            number = known.number if known else len(found)
            found[trial.key] = Tried(number, candidate, state, tuple(record["rounds"]), record.get("failed", ""))
        return list(found.values())

    @property
    def best(self) -> Tried | None:
        """The complete trial of the highest score, the earliest of equal ones; None where none is complete."""
        whole = [one for one in self.tried if one.state == COMPLETE]
        return max(whole, key=lambda one: one.score) if whole else None

    def importances(self) -> dict[str, float]:
        """Share of the score's variance by parameter, of those that every trial has; {} where it cannot be told."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return dict(get_param_importances(self._study))
            except (ValueError, RuntimeError):
                return {}

    def _candidate(self, params: dict) -> Candidate | None:
        try:
            return suggest(FixedTrial(params), self._kinds, self._any.settings)
        except ValueError:
            return None

    def _key(self, params: dict) -> str:
        candidate = self._candidate(params)
        return self.played(candidate).key if candidate else ""
