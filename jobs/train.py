"""`resp-agent train <what> [options]`: one table of what can be trained, each a job of its own."""

import sys
from collections.abc import Sequence

from jobs.exits import run_job
from jobs.verbs import dispatch

VERBS: dict[str, tuple[str, str]] = {
    "diagnoser": ("jobs.train_diagnoser:main", "a diagnoser on a corpus, on Ray Train or in this process"),
    "generator": ("jobs.train_generator:main", "a generator of clips, on Ray Train or in this process"),
    "vocoder": ("jobs.train_vocoder:main", "a generator's vocoder by itself, on Ray Train or in this process"),
    "grounding": ("jobs.train_grounding:main", "a grounder: where in a recording a phrase is heard"),
    "encoder": ("jobs.train_encoder:main", "an audio stem by contrast, on recordings that need no label"),
}
"""What is trained -> (where its `main(argv) -> int` is, one line for the help)."""


def main(argv: Sequence[str] | None = None) -> int:
    """`resp-agent train` and `python -m jobs.train`; returns the exit code."""
    return run_job(lambda words: dispatch("resp-agent train", VERBS, words), sys.argv[1:] if argv is None else argv)


if __name__ == "__main__":
    sys.exit(main())
