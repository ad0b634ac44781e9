"""A trial of the search: a candidate plays an episode on each seed, in lockstep; their mean is what counts."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import gymnasium
import numpy as np

from jobs.curriculum import LABS
from jobs.playing import Playing
from jobs.search.space import Candidate
from resp_agent import __version__
from resp_agent.durable import write_atomic
from resp_agent.errors import RunFailed, UserError
from resp_agent.settings import Placement, Settings, fingerprint, from_plain, to_plain
from resp_agent.storage import fetch, is_mirror, remove, scratch


@dataclass(frozen=True)
class SearchTrial:
    """What is tried, and where its record is kept."""

    candidate: Candidate
    settings: Settings
    """The search's."""
    seeds: tuple[int, ...]
    folder: Path
    """Of all trials' records."""
    first: Path
    """Where first-trained models and corpora are kept."""
    place: Placement

    @property
    def key(self) -> str:
        """A content name: trials of the same key have the same record."""
        plain = to_plain(self.settings) | {"seed": None}
        return fingerprint(__version__, plain, self.candidate.to_plain(), list(self.seeds))

    @property
    def path(self) -> Path:
        """The record, once there is one."""
        return self.folder / f"{self.key}.json"

    @property
    def record(self) -> dict | None:
        """What is known of it: `rounds` (clips, macro_f1, by_seed) so far, whether it is `complete`, or why it
        `failed`."""
        if not self._known.get("complete"):
            fetch(self.path)
        return self._known or None

    @property
    def _known(self) -> dict:
        return json.loads(self.path.read_text()) if self.path.is_file() else {}

    def to_plain(self) -> dict:
        """As plain data, for a worker."""
        return {
            "candidate": self.candidate.to_plain(),
            "settings": to_plain(self.settings),
            "seeds": list(self.seeds),
            "folder": str(self.folder),
            "first": str(self.first),
            "place": to_plain(self.place),
        }

    @classmethod
    def from_plain(cls, data: dict) -> "SearchTrial":
        """The inverse of `to_plain`."""
        return cls(
            Candidate(**data["candidate"]),
            from_plain(data["settings"]),
            tuple(data["seeds"]),
            Path(data["folder"]),
            Path(data["first"]),
            from_plain(data["place"], Placement()),
        )


def run_trial(trial: SearchTrial, told: Callable[[dict], None]) -> None:
    """Plays a trial; `told` hears of each round, as its record keeps it. One that is done tells it all again.

    Scores come from validation only.
    """
    known = trial.record
    if known and known["complete"]:
        for one in known["rounds"]:
            told(one)
        return
    workspace, rounds = _workspace(trial), []

    def keep(**how: object) -> None:
        plain = {**trial.candidate.to_plain(), "seeds": list(trial.seeds), "rounds": rounds, "complete": False} | how
        write_atomic(trial.path, json.dumps(plain, indent=1).encode())

    remove(workspace)
    try:
        with ExitStack() as stack:
            episodes = []
            for seed in trial.seeds:
                settings = trial.candidate.settings(trial.settings, seed)
                options = {"first": str(trial.first)} | ({"place": trial.place} if trial.place.lab == "ray" else {})
                env = gymnasium.make(
                    "envs:RespCurriculum-v0",
                    settings=settings,
                    lab=LABS[trial.place.lab],
                    workspace=str(workspace / f"seed-{seed}"),
                    lab_options=options,
                )
                episodes.append(Playing(stack.enter_context(env), trial.candidate.policy))
            while not all(episode.ended for episode in episodes):
                for episode in episodes:
                    # One that has reached its target waits for the others with the score that it has.
                    if not episode.ended:
                        episode.round()
                rounds.append(_standing(episodes))
                keep()
                told(rounds[-1])
            keep(complete=True)
    except (RunFailed, UserError) as problem:
        keep(failed=str(problem))
        raise
    finally:
        remove(workspace)


def _workspace(trial: SearchTrial) -> Path:
    """Where a trial is played: beside its record, but not on a store if nobody else has a part in it."""
    if is_mirror(trial.folder) and trial.place.lab == "local":
        return scratch(trial.key)
    return trial.folder / "playing" / trial.key


def prepare(settings: Settings, seed: int, first: Path, workspace: Path, place: Placement) -> None:
    """The corpus and first trainings of a seed, which all trials share."""
    options = {"first": str(first)} | ({"place": place} if place.lab == "ray" else {})
    with gymnasium.make(
        "envs:RespCurriculum-v0",
        settings=dataclasses.replace(settings, seed=seed),
        lab=LABS[place.lab],
        workspace=str(workspace),
        lab_options=options,
    ) as env:
        env.unwrapped.lab.prepare()


def _standing(episodes: Sequence[Playing]) -> dict:
    scores = [episode.scores[-1] for episode in episodes]
    return {
        "clips": int(np.mean([episode.clips for episode in episodes])),
        "macro_f1": float(np.mean(scores)),
        "by_seed": scores,
    }
