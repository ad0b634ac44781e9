"""Runs that were made: a list of them, and some of them compared."""

import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import tyro

from jobs.exits import run_job
from jobs.submitted import refuse_relative
from jobs.verbs import run_verb
from resp_agent.corpus.resolve import split_sources
from resp_agent.curriculum.history import History, runs_in
from resp_agent.curriculum.policies import NONE
from resp_agent.durable import write_atomic
from resp_agent.errors import UserError
from resp_agent.report.terminal import text_table, wrapped
from resp_agent.report.words import MISSING, brief, count_of
from resp_agent.settings.checks import refuse
from resp_agent.storage import local, shown

HEAD = (
    "begun", "state", "policy", "generator", "corpus", "seed", "rounds", "clips", "validation", "test", "95 %", "min",
    "run",
)  # fmt: skip
LEAST_WIDTH = 130
"""Columns of the list without the names at its end."""
HALF_A_YEAR_S = 180 * 24 * 3600.0
"""Age up to which the time of day is told, and not the year; as in `ls -l`."""


@dataclass(frozen=True)
class ListJob:
    """Lists runs, the newest first: what they are, how far they are, and macro-F1 on validation (first and last round)
    and test (before and after, 95 % over patients). What is no whole run has a line with the reason."""

    folders: tyro.conf.Positional[tuple[str, ...]] = ("runs",)
    """Run directories, or folders of them."""
    json: str | None = None
    """File to write the same to, for machines."""


@dataclass(frozen=True)
class CompareJob:
    """Compares runs on one corpus: test scores, seconds, and the settings in which they differ. Runs that differ in
    nothing but the seed are one row; two such rows are compared seed by seed. Draws validation by round."""

    folders: tyro.conf.Positional[tuple[str, ...]]
    """Run directories, or folders of them; two runs at least."""
    out: str = "comparison"
    """Folder of `comparison.json` and `comparison.png`."""
    different_corpora: bool = False
    """Compare all the same where runs were scored on different test splits."""

    def __post_init__(self):
        refuse(not self.folders, "there is nothing to compare: give two run directories or more")


def list_runs(job: ListJob) -> int:
    """Prints the table; returns the exit code."""
    if job.json:
        refuse_relative("--json", job.json)
    found = sorted(runs_in([local(folder) for folder in job.folders]), key=lambda run: -(run.began_s or 0.0))
    if job.json:
        _write(local(job.json), [plain_row(run) for run in found])
    if not found:
        print(f"no run in {', '.join(job.folders)}")
        return 0
    # Names come last and whole, as in `ls -l`: they are what other commands are given.
    width = max(LEAST_WIDTH, shutil.get_terminal_size((LEAST_WIDTH, 24)).columns)
    *lines, _ = zip(*[_cells(run) for run in found], strict=True)
    rows = list(zip(*lines, strict=True))
    places = [shown(run.folder) for run in found]
    names = [HEAD[-1], "─" * max(map(len, places)), *places]
    table = text_table(HEAD[:-1], rows, texts=5, width=width)
    room = max(map(len, table))
    print("\n".join(f"{line:<{room}}  {name}" for line, name in zip(table, names, strict=True)))
    notes = [f"{shown(run.folder)}: {run.state}: {run.why}" for run in found if run.state != "complete"]
    if notes:
        print("\n" + "\n".join(wrapped(note) for note in notes))
    return 0


def plain_row(run: History) -> dict:
    """What is listed of a run, as plain data; None where it is not known."""
    row = {
        "run": shown(run.folder),
        "state": run.state,
        "why": run.why,
        "begun": run.began_s and datetime.fromtimestamp(run.began_s, UTC).isoformat(timespec="seconds"),
    }
    if run.state in ("broken", "no run"):
        return row
    summary = run.summary or {}
    return row | {
        "policy": run.policy,
        "generator": None if run.policy == NONE else run.settings["generator"]["kind"],
        "seed": run.seed,
        "corpus": run.settings["corpus"],
        "corpus_fingerprint": run.fingerprint,
        "rounds": run.rounds,
        "rounds_planned": run.planned,
        "clips": run.clips,
        "budget": 0 if run.policy == NONE else run.budget,
        "valid_macro_f1": [run.valid[0], run.valid[-1]] if run.valid else None,
        "test_macro_f1_before": summary.get("test_macro_f1_before"),
        "test_macro_f1_after": summary.get("test_macro_f1_after"),
        "test_macro_f1_ci95": summary.get("test_macro_f1_ci95"),
        "minutes": round(run.seconds / 60, 1),
    }


def corpus_name(spec: str) -> str:
    """A corpus in a word: the name of its folder, or its sources."""
    if "=" in spec:
        return "+".join(name for name, _ in split_sources([spec]))
    return Path(spec).name


def compare(job: CompareJob) -> int:
    """Prints the comparison and writes it with its figure; returns the exit code."""
    # Imported when needed: drawing costs a second that a list has no use for.
    from jobs.run_tables import compared, printed
    from resp_agent.report.comparison_figure import comparison_figure
    from resp_agent.report.style import LIGHT

    refuse_relative("--out", job.out)
    found = runs_in([local(folder) for folder in job.folders])
    runs = [run for run in found if run.state not in ("broken", "no run")]
    left_out = [f"left out: {shown(run.folder)}, {run.state}: {run.why}" for run in found if run not in runs]
    if len(runs) < 2:
        why = f" ({'; '.join(left_out)})" if left_out else ""
        raise UserError(f"{count_of(len(runs), 'run')} cannot be compared{why}: give two run directories or more")
    comparison = compared(runs, job.different_corpora, left_out)
    print(printed(comparison))
    out = local(job.out)
    _write(out / "comparison.json", comparison.plain())
    write_atomic(out / "comparison.png", comparison_figure(comparison.lines(), comparison.caption, LIGHT))
    print(f"\ntable {shown(out / 'comparison.json')}\nfigure {shown(out / 'comparison.png')}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """`resp-agent runs` and `python -m jobs.runs`; returns the exit code."""
    verbs = {"list": (ListJob, list_runs), "compare": (CompareJob, compare)}
    return run_job(lambda words: run_verb("resp-agent runs", verbs, words), sys.argv[1:] if argv is None else argv)


def _cells(run: History) -> list[str]:
    row = plain_row(run)

    def known(name: str, form=str) -> str:
        return MISSING if row.get(name) is None else form(row[name])

    before, after = row.get("test_macro_f1_before"), row.get("test_macro_f1_after")
    return [
        _when(run.began_s),
        run.state,
        run.policy or MISSING,
        known("generator"),
        known("corpus", corpus_name),
        known("seed"),
        f"{row['rounds']}/{row['rounds_planned']}" if "rounds" in row else MISSING,
        f"{row['clips']}/{row['budget']}" if "clips" in row else MISSING,
        known("valid_macro_f1", _from_to),
        MISSING if after is None else _from_to((before, after)),
        known("test_macro_f1_ci95", lambda ends: f"{brief(ends[0])}–{brief(ends[1])}"),
        known("minutes"),
        shown(run.folder),
    ]


def _from_to(ends: Sequence[float]) -> str:
    return f"{brief(ends[0])} → {brief(ends[1])}"


def _when(began_s: float | None) -> str:
    if began_s is None:
        return MISSING
    then = time.localtime(began_s)
    lately = abs(time.time() - began_s) < HALF_A_YEAR_S
    return time.strftime("%d %b %H:%M" if lately else "%d %b  %Y", then)


def _write(path: Path, data: list | dict) -> None:
    try:
        write_atomic(path, (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode())
    except OSError as problem:
        raise UserError(f"{shown(path)} cannot be written ({problem.strerror}): give another place") from None


if __name__ == "__main__":
    sys.exit(main())
