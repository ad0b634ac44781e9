"""`resp-agent <verb> [options]`: one table of verbs, each a job that `python -m jobs.<verb>` runs too."""

import importlib
import sys
from collections.abc import Sequence

from jobs.exits import run_job
from resp_agent import __version__
from resp_agent.errors import UserError

VERBS: dict[str, tuple[str, str]] = {
    "curriculum": (
        "jobs.curriculum:main",
        "run the curriculum: first training, rounds of synthesis and learning, report",
    ),
    "tune": ("jobs.tune:main", "search for a curriculum policy, with Ray Tune and Optuna"),
    "runs": ("jobs.runs:main", "list runs, and compare some: scores, settings, seconds, a figure"),
    "corpus": ("jobs.corpus:main", "build a corpus from raw recordings, and say in figures what is in one"),
    "features": ("jobs.features:main", "compute what an encoder makes of a corpus, once"),
    "train": ("jobs.train:main", "train a diagnoser, a generator, its vocoder, grounding, or a diagnoser's audio stem"),
    "synthesize": ("jobs.synthesize:main", "make clips: of a label in a style, or as a plan asks for"),
    "veto": ("jobs.veto:main", "reject clips after listening: they are never learned from again"),
    "evaluate": ("jobs.evaluate:main", "score a diagnoser on a split of a corpus"),
    "diagnose": ("jobs.diagnose:main", "say what recordings sound like, how surely, and where in the audio"),
    "serve": ("jobs.serve:main", "answer over HTTP: a page, diagnoses, clips"),
    "ground": ("jobs.ground:main", "say where in a recording a phrase is heard"),
    "import-weights": ("jobs.weights:main_import", "turn released checkpoints into this project's, strictly"),
    "verify": ("jobs.weights:main_verify", "run released checkpoints against the outputs expected of them"),
    "benchmark": ("jobs.benchmark:main", "the paper's tables beside ours; speed, memory and grounding"),
    "doctor": ("jobs.doctor:main", "say what is installed, what this machine has, and what is missing"),
}
"""Verb -> (where its `main(argv) -> int` is, one line for the help)."""


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of a verb with its options; see `jobs.exits`. Imports that verb's job only."""
    return run_job(_dispatch, sys.argv[1:] if argv is None else argv)


def usage() -> str:
    """The help: every verb with a line."""
    width = max(map(len, VERBS))
    lines = [f"  {verb:<{width}}  {line}" for verb, (_, line) in VERBS.items()]
    return "\n".join(
        ["usage: resp-agent <verb> [options]", "", *lines, "", "resp-agent <verb> --help says what a verb takes."]
    )


def _dispatch(argv: list[str] | None) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if argv else 2
    if argv[0] == "--version":
        print(f"resp-agent {__version__}")
        return 0
    verb, *options = argv
    if verb not in VERBS:
        raise UserError(f"there is no verb {verb!r}: choose one of {', '.join(VERBS)}, or --help")
    module, name = VERBS[verb][0].split(":")
    return getattr(importlib.import_module(module), name)(options)


if __name__ == "__main__":
    sys.exit(main())
