"""What a stored diagnoser scores on a corpus: accuracy, macro-F1, rare labels, calibration, confusion."""

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import tyro

from jobs.exits import run_job
from jobs.submitted import refuse_relative
from resp_agent.corpus.resolve import EMBEDDED, find_corpus
from resp_agent.diagnoser.evaluation import Evaluation, evaluate
from resp_agent.diagnoser.stored import find_diagnoser, read_settings
from resp_agent.durable import write_atomic
from resp_agent.report.figures import confusion_figure
from resp_agent.report.style import LIGHT
from resp_agent.report.terminal import text_table
from resp_agent.storage import local, shown


@dataclass(frozen=True)
class EvaluateJob:
    """Scores a diagnoser on a split of a corpus. Recordings of labels that it never learned are counted, named and
    left out of the scores."""

    model: tyro.conf.Positional[str]
    """Folder of a diagnoser: what `train diagnoser` printed, or a checkpoint of a run."""
    corpus: str = EMBEDDED
    """A corpus directory, raw sources as `icbhi=<path>,sprsound=<path>`, or `embedded`: the one that the model's
    settings simulate."""
    split: Literal["train", "valid", "test"] = "test"
    """Which recordings."""
    json: str | None = None
    """A file for all scores as plain data."""
    out: str | None = None
    """A folder for scores.json and the confusion figure."""
    first: str | None = None
    """Where built corpora and features are kept and found again; by default they are made for this and removed."""


def run(job: EvaluateJob) -> int:
    """Scores, prints, and writes what was asked for."""
    for flag, path in (("--json", job.json), ("--out", job.out), ("--first", job.first)):
        if path:
            refuse_relative(flag, path)
    folder = find_diagnoser(local(job.model))
    settings = replace(read_settings(folder), corpus=job.corpus)
    with tempfile.TemporaryDirectory() as scratch:
        place = local(job.first or scratch)
        corpus = find_corpus(settings, place / "corpus-evaluated")
        found = evaluate(folder, corpus, job.split, place / "features")
    print(render(found))
    scores = {"model": shown(folder.resolve()), "corpus": corpus.fingerprint, **found.plain}
    data = (json.dumps(scores, indent=2, ensure_ascii=False) + "\n").encode()
    written = []
    if job.json:
        written.append((local(job.json), data))
    if job.out:
        figure = confusion_figure(found.assessment, f"Confusion on the {job.split} split", LIGHT)
        written += [(local(job.out) / "scores.json", data), (local(job.out) / "confusion.png", figure)]
    for path, content in written:
        write_atomic(path, content)
        print(f"wrote {shown(path.resolve())}")
    return 0


def render(found: Evaluation) -> str:
    """The scores as text."""
    scores = found.plain
    low, high = scores["macro_f1_ci95"]
    tail = "none of its labels is held" if scores["tail_f1"] is None else f"{scores['tail_f1']:.3f}"
    lines = [
        f"{scores['split']}: {scores['recordings']} recordings of {scores['patients']} patients",
        f"accuracy           {scores['accuracy']:.3f}",
        f"macro-F1           {scores['macro_f1']:.3f} (95 % {low:.3f} to {high:.3f}, patients resampled)",
        f"tail-F1            {tail} (the {len(scores['tail_labels'])} rarest in training)",
        f"calibration error  {scores['calibration_error']:.3f} (temperature {scores['temperature']:.2f})",
    ]
    if scores["unknown_labels"]:
        named = ", ".join(f"{label} ({count})" for label, count in scores["unknown_labels"].items())
        lines.append(f"left out, as it never learned them: {named}")
    rows = [
        [label, str(row["trained_on"]), str(row["recordings"])]
        + [f"{row[name]:.3f}" for name in ("precision", "recall", "f1")]
        for label, row in scores["by_label"].items()
    ]
    head = ["label", "trained on", "recordings", "precision", "recall", "F1"]
    return "\n".join([*lines, "", *text_table(head, rows, 1)])


def main(argv: Sequence[str] | None = None) -> int:
    """`resp-agent evaluate` and `python -m jobs.evaluate`; returns the exit code."""
    return run_job(lambda words: run(tyro.cli(EvaluateJob, args=words, prog="resp-agent evaluate")), argv)


if __name__ == "__main__":
    sys.exit(main())
