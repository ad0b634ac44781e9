"""What a run has to show for its rounds so far: journal, assessments, times, progress lines."""

import sys
import time
from dataclasses import asdict

from tensorboardX import SummaryWriter

from jobs.console import Console
from resp_agent.curriculum.assessment import Assessment
from resp_agent.curriculum.journal import BOARD, RunDirectory
from resp_agent.curriculum.policies import Policy
from resp_agent.report.reasons import short_reason
from resp_agent.settings import Settings
from resp_agent.storage import publish


class Rounds:
    """The rounds of a run directory. Round 0 is the diagnoser as first trained."""

    def __init__(self, run: RunDirectory, console: Console, settings: Settings):
        self.run, self.console = run, console
        self._settings = settings
        self.journal = run.rounds()
        self.assessments: list[Assessment] = run.assessments(len(self.journal))
        self.seconds: dict[str, float] = {}
        self._last_commit = time.monotonic()
        self._board = SummaryWriter(str(run.path / BOARD), purge_step=len(self.journal))
        if self.journal:
            console.say(f"going on after round {self.journal[-1]['round']}")

    @property
    def ended(self) -> bool:
        """Whether the episode is over."""
        return bool(self.journal) and self.journal[-1]["state"]["ended"]

    @property
    def clips(self) -> int:
        """Clips synthesized so far."""
        return sum(len(entry["clip_ids"]) for entry in self.journal)

    def add_seconds(self, phases: dict[str, float]) -> None:
        """Adds to the time of phases."""
        for phase, seconds in phases.items():
            self.seconds[phase] = self.seconds.get(phase, 0.0) + seconds

    def commit(self, info: dict, state: dict, policy: Policy, reward: float = 0.0) -> None:
        """Journals a round: from here on it counts."""
        assessment, now = info["assessment"], time.monotonic()
        entry = {
            "round": info["round"],
            "requests": info["requests"],
            "credits": info["credits"],
            "clip_ids": info["clip_ids"],
            "shards": [shard["path"] for shard in info["shards"]],
            "reward": reward,
            "valid_macro_f1": info["macro_f1"],
            "valid_soft_macro_f1": info["soft_macro_f1"],
            "losses": list(assessment.losses),
            "policy_state": policy.state_dict(),
            "why": policy.explain(),
            "state": state,
            "seconds": asdict(info["seconds"]) | {"round": now - self._last_commit},
        }
        self._last_commit = now
        self.assessments.append(assessment)
        self.run.commit(entry, self.assessments)
        self.journal.append(entry)
        self._draw(entry, assessment)
        self._show(entry)
        curriculum = self._settings.curriculum
        reason = short_reason(entry, assessment.labels, assessment.styles)
        self.console.round(entry, curriculum.rounds, self.clips, curriculum.budget, reason)

    def take_back(self, why: Exception) -> None:
        """Undoes the last round, as what it left cannot be used; it is done again from the one before."""
        entry = self.journal.pop()
        self.assessments.pop()
        self.run.take_back()
        self.console.say(f"{why}: round {entry['round']} is done again")

    def close(self) -> None:
        """Ends the event file."""
        self._board.close()

    def _show(self, entry: dict) -> None:
        """To the cluster's dashboards. A run in one process never imports Ray for it."""
        if "ray" in sys.modules:
            from actors.metrics import show

            show("resp_macro_f1", self.run.path.name, entry["valid_macro_f1"])
            show("resp_reward", self.run.path.name, entry["reward"])

    def _draw(self, entry: dict, assessment: Assessment) -> None:
        number = entry["round"]
        self._board.add_scalar("valid/macro_f1", entry["valid_macro_f1"], number)
        self._board.add_scalar("valid/soft_macro_f1", entry["valid_soft_macro_f1"], number)
        self._board.add_scalar("reward", entry["reward"], number)
        self._board.add_scalar("clips", self.clips, number)
        if entry["losses"]:
            self._board.add_scalar("train/loss", sum(entry["losses"]) / len(entry["losses"]), number)
        for label, f1 in zip(assessment.labels, assessment.by_label["f1"], strict=True):
            self._board.add_scalar(f"valid/f1/{label}", f1, number)
        for phase, seconds in entry["seconds"].items():
            self._board.add_scalar(f"seconds/{phase}", seconds, number)
        self._board.flush()
        publish(self.run.path / BOARD)
