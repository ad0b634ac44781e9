"""Run directories as a curriculum leaves them, without the run."""

import dataclasses
import json
from pathlib import Path

from resp_agent.curriculum.beacon import Beacon
from resp_agent.curriculum.journal import JOURNAL, RunDirectory
from resp_agent.curriculum.spending import allot
from resp_agent.settings import Settings, tiny, to_plain

BEGAN_S = 1_795_742_507
SECONDS = {"diagnoser training": 30.0, "generator training": 20.0, "judging": 2.0, "report": 8.0, "all": 120.0}


def run_folder(
    folder: Path,
    policy: str = "weakness",
    seed: int = 0,
    rounds: int | None = None,
    score: float = 0.7,
    settings: Settings | None = None,
    corpus: str | None = None,
    began_s: int = BEGAN_S,
    parts: int = 1,
    **summary,
) -> Path:
    """A run that has done some rounds, or, with `rounds` None, all; with `summary` beside what it ends with.

    Args:
        score: macro-F1 on the test after the run; validation rises to it from .3.
        corpus: its fingerprint; by default one that depends on the seed, as the embedded corpus does.
        parts: processes that it took.
    """
    settings = dataclasses.replace(settings or tiny(), seed=seed)
    how, idle = settings.curriculum, policy == "none"
    run = RunDirectory.create(folder, {"policy": policy, "settings": to_plain(settings), "first": None})
    run.hold_to_corpus(corpus or f"embedded-of-{seed}")
    for part in range(parts):
        (folder / "tensorboard").mkdir(exist_ok=True)
        (folder / "tensorboard" / f"events.out.tfevents.{began_s + 600 * part}.here").touch()
    for role in ("diagnoser-0", "generator-0", "generator-1", "generator-training"):
        Beacon(folder / "progress", role).at("waiting")
        path = folder / "progress" / f"{role}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"time_s": float(began_s)}))
    left, lines = how.budget, []
    for number in range((how.rounds if rounds is None else rounds) + 1):
        clips = sum(allot(left, how.rounds - number + 1, how.requests_per_round)) if number else 0
        left -= clips
        lines.append(
            {
                "round": number,
                "requests": [],
                "clip_ids": [] if idle else [f"{number}-{clip}" for clip in range(clips)],
                "losses": [1.0] * (how.steps_per_round if number else settings.diagnoser.training.steps),
                "valid_macro_f1": 0.3 + (score - 0.3) * (number / how.rounds) ** 0.5,
                "state": {
                    "budget_left": left,
                    "ended": number == how.rounds,
                    "lab": {"checkpoint": {"folder": f"checkpoints/round-{number:03d}"}},
                },
                "seconds": {"synthesize": 0.01 * clips * (not idle), "learn": 3.0 * bool(number), "round": 4.0},
            }
        )
    (folder / JOURNAL).write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "checkpoints" / f"round-{len(lines) - 1:03d}").mkdir(parents=True)
    if rounds is None:
        spans = {phase: sum(line["seconds"][phase] for line in lines) for phase in ("synthesize", "learn")}
        told = {
            "test_macro_f1_before": 0.31 + 0.01 * seed,
            "test_macro_f1_after": score,
            "test_macro_f1_ci95": [score - 0.05, score + 0.04],
            "test_accuracy_before": 0.4,
            "test_accuracy_after": score + 0.01,
            "seconds": SECONDS | spans,
        }
        run.finish({}, told | summary)
    return folder
