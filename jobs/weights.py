"""Released weights: imported into our files once, and verified against their expected outputs."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro

from jobs.exits import FAILED, run_job
from jobs.expected import verify_folder
from jobs.importers import IMPORTERS, ImportJob, Read
from jobs.submitted import refuse_relative
from jobs.verbs import run_verb
from resp_agent.durable import write_atomic
from resp_agent.errors import UserError
from resp_agent.storage import fetch, local, shown

TABLE = "imported.json"
"""What was read, beside what was made of it."""


@dataclass(frozen=True)
class VerifyJob:
    """Runs every checkpoint of a folder in the layout of the release against the expected outputs beside it."""

    folder: tyro.conf.Positional[str]
    """Where checkpoints and `*_expected.safetensors` lie."""
    only: str = ""
    """Kinds of checkpoint to verify, such as `beats,diagnoser`; by default all that the folder holds."""


def import_weights(job: ImportJob) -> int:
    """Imports what the job names and prints the table. Nothing is written before all of it was read."""
    refuse_relative("--out", job.out)
    out = local(job.out)
    read = [run(job) for name, run in IMPORTERS.items() if getattr(job, name)]
    try:
        for _, write in read:
            write(out)
        rows = [row for rows, _ in read for row in rows]
        write_atomic(out / TABLE, (json.dumps([asdict(row) for row in rows], indent=1) + "\n").encode())
    except OSError as problem:
        raise UserError(f"nothing can be written to --out {out} ({problem}): give a folder that takes files") from None
    print_table(rows)
    print(f"written to {shown(out.resolve())}")
    return 0


def print_table(rows: Sequence[Read]) -> None:
    """Prints a line for every file, and one for every reason to leave something out."""
    lines = [("file", "tensors", "parameters", "dtype", "sha256", "made")]
    for row in rows:
        counts = (str(row.tensors), f"{row.parameters:,}") if row.tensors else ("-", "-")
        lines.append((Path(row.file).name, *counts, row.dtypes or "-", row.sha256[:16], row.made))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    for row in rows:
        for reason, count in Counter(row.ignored.values()).items():
            names = ", ".join(name for name, why in row.ignored.items() if why == reason)
            print(f"left out of {Path(row.file).name}, {reason} ({count}): {names}")


def verify(job: VerifyJob) -> int:
    """Prints a line for every quantity; 1 if one misses its tolerance, else 0."""
    only = tuple(kind.strip() for kind in job.only.split(",") if kind.strip())
    return FAILED if verify_folder(fetch(local(job.folder)), only) else 0


def main_import(argv: Sequence[str] | None = None) -> int:
    """`resp-agent import-weights`; returns the exit code."""
    return _run(ImportJob, import_weights, "resp-agent import-weights", argv)


def main_verify(argv: Sequence[str] | None = None) -> int:
    """`resp-agent verify`; returns the exit code."""
    return _run(VerifyJob, verify, "resp-agent verify", argv)


def _run(kind: type, do: Callable, prog: str, argv: Sequence[str] | None) -> int:
    return run_job(lambda words: do(tyro.cli(kind, args=words, prog=prog)), argv)


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m jobs.weights`: both verbs."""
    verbs = {"import": (ImportJob, import_weights), "verify": (VerifyJob, verify)}
    return run_job(lambda words: run_verb("python -m jobs.weights", verbs, words), argv)


if __name__ == "__main__":
    sys.exit(main())
