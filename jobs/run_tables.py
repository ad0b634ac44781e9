"""A comparison of runs: tables to read, plain data, and the lines of its figure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from jobs.run_groups import (
    Difference,
    Group,
    differences,
    differing,
    drawn_from_seed,
    grouped,
    other_corpora,
    refuse_other_corpora,
)
from resp_agent.curriculum.history import History
from resp_agent.curriculum.policies import NONE
from resp_agent.curriculum.vetoes import read_vetoes
from resp_agent.metrics.paired import paired
from resp_agent.report.comparison_figure import Line
from resp_agent.report.terminal import text_table, wrapped
from resp_agent.report.words import MISSING, brief, count_of, plain
from resp_agent.storage import shown

Interval = tuple[float, float]


@dataclass(frozen=True)
class Row:
    """A group's figures, means over its seeds; None where none of its runs was judged."""

    name: str
    runs: list[str]
    seeds: list[int]
    judged: int
    """Seeds with a test score."""
    before: float | None
    after: float | None
    sd: float | None
    """Deviation of `after` over seeds; None with one."""
    patients: Interval | None
    """95 % of `after` over patients, of a single run."""
    gain: float | None
    gain_interval: Interval | None
    """95 % over seeds; None with one."""
    accuracy: float | None
    clips: float
    rounds: float
    seconds: dict[str, float]
    """By phase, of those that were judged."""


@dataclass(frozen=True)
class Comparison:
    """Groups of runs, compared."""

    groups: list[Group]
    rows: list[Row]
    settings: dict[str, list]
    """Settings that differ -> value in each group."""
    differences: list[Difference]
    notes: list[str]

    @property
    def caption(self) -> str:
        """What a reader of the figure must know."""
        return (
            "Lines: validation after each round, the mean over seeds, each seed fainter. Markers: test after the run, "
            "with 95 % over patients of a single run, over seeds (Student's t) of several."
            + (" Without synthesis no clip is spent: rounds stand where they would have." if self._idle else "")
        )

    @property
    def _idle(self) -> bool:
        return any(group.settings["policy"] == NONE for group in self.groups)

    def plain(self) -> dict:
        """Everything, for JSON."""
        return {
            "groups": [asdict(row) for row in self.rows],
            "settings": self.settings,
            "differences": [asdict(one) for one in self.differences],
            "curves": [
                {
                    "run": shown(run.folder),
                    "group": group.name,
                    "seed": run.seed,
                    "clips": run.spent,
                    "valid_macro_f1": run.valid,
                }
                for group in self.groups
                for run in group.runs
            ],
            "notes": self.notes,
        }

    def lines(self) -> list[Line]:
        """What the figure draws."""
        found = []
        for group, row in zip(self.groups, self.rows, strict=True):
            interval = row.patients
            if row.sd is not None:
                _, interval = paired(list(group.by_seed("test_macro_f1_after").values()))
            curves = tuple((tuple(run.spent), tuple(run.valid)) for run in group.runs if run.valid)
            found.append(Line(row.name, curves, row.after, interval))
        return found


def compared(runs: Sequence[History], different_corpora: bool = False, notes: Sequence[str] = ()) -> Comparison:
    """The comparison of some readable runs; `notes` come before its own.

    Raises:
        UserError: they are of different corpora and `different_corpora` does not allow it.
    """
    groups = grouped(runs)
    if not different_corpora:
        refuse_other_corpora(groups)
    names = differing(groups)
    return Comparison(
        groups,
        [_row(group) for group in groups],
        {name: [group.settings.get(name) for group in groups] for name in names},
        list(differences(groups)),
        [*notes, *_notes(groups)],
    )


def printed(comparison: Comparison) -> str:
    """The tables, as text."""
    rows = comparison.rows
    head = ("", "seeds", "test before", "after", "95 %", "gain", "95 %", "accuracy", "clips", "rounds")
    lines = [
        (
            row.name,
            str(row.judged) + ("" if row.judged == len(row.seeds) else f" of {len(row.seeds)}"),
            brief(row.before),
            brief(row.after) + ("" if row.sd is None else f" ± {brief(row.sd)}"),
            _interval(row.patients),
            brief(row.gain, sign=True),
            _interval(row.gain_interval, sign=True),
            brief(row.accuracy),
            f"{row.clips:g}",
            f"{row.rounds:g}",
        )
        for row in rows
    ]
    parts = ["\n".join(["Macro-F1", *text_table(head, lines, texts=1)])]
    if comparison.differences:
        told = [
            (
                f"{one.name} over {one.over}",
                brief(one.mean, sign=True),
                _interval(one.interval, sign=True),
                str(len(one.seeds)),
            )
            for one in comparison.differences
        ]
        table = text_table(("", "difference", "95 %", "seeds in common"), told, texts=1)
        parts.append("\n".join(["Test macro-F1 after, seed by seed", *table]))
    phases = list(dict.fromkeys(phase for row in rows for phase in row.seconds))
    if phases:
        spans = [(row.name, *(_seconds(row.seconds.get(phase)) for phase in phases)) for row in rows if row.seconds]
        parts.append("\n".join(["Seconds", *text_table(("", *phases), spans, texts=1)]))
    if comparison.settings:
        values = [(name, *map(plain, found)) for name, found in comparison.settings.items()]
        table = text_table(("", *(row.name for row in rows)), values, texts=1 + len(rows))
        parts.append("\n".join(["Settings that differ", *table]))
    parts.append("\n".join(["Runs", *(wrapped(f"{row.name or 'all'}: {', '.join(row.runs)}") for row in rows)]))
    if comparison.notes:
        parts.append("\n".join(["Notes", *map(wrapped, comparison.notes)]))
    return "\n\n".join(parts)


def _row(group: Group) -> Row:
    before, after = (list(group.by_seed(f"test_macro_f1_{when}").values()) for when in ("before", "after"))
    gains, several, judged = list(group.gains().values()), len(after) > 1, group.complete
    phases = dict.fromkeys(phase for run in judged for phase in run.summary["seconds"])
    return Row(
        group.name,
        [shown(run.folder) for run in group.runs],
        group.seeds,
        len(after),
        _mean(before),
        _mean(after),
        float(np.std(after, ddof=1)) if several else None,
        tuple(judged[0].summary["test_macro_f1_ci95"]) if len(judged) == 1 else None,
        _mean(gains),
        paired(gains)[1] if several else None,
        _mean(list(group.by_seed("test_accuracy_after").values())),
        float(np.mean([run.clips for run in group.runs])),
        float(np.mean([run.rounds for run in group.runs])),
        {phase: float(np.mean([run.summary["seconds"].get(phase, 0.0) for run in judged])) for phase in phases},
    )


def _notes(groups: Sequence[Group]) -> list[str]:
    notes = []
    differ = other_corpora(groups)
    if differ:
        notes.append(f"different corpora ({differ}): scores are of different test splits and say little together")
    runs = [run for group in groups for run in group.runs]
    if any(map(drawn_from_seed, runs)) and len({run.seed for run in runs}) > 1:
        notes.append("the seed draws the corpus here, so each has a test split of its own: look at differences by seed")
    if any(len(group.complete) > 1 for group in groups):
        notes.append("± is the deviation over seeds; 95 % of a gain or a difference is over seeds (Student's t)")
    if any(len(group.complete) == 1 for group in groups):
        notes.append("95 % of a single run's score is over patients of the test split")
    for group in groups:
        if len(group.runs) > len(group.seeds):
            notes.append(f"{group.name}: a seed was run more than once and counts as the mean of its runs")
    for run in runs:
        if run.summary is None:
            notes.append(f"{shown(run.folder)} is not complete ({run.state}: {run.why}): it has no test score")
        vetoed = len(read_vetoes(run.folder))
        if vetoed:
            notes.append(f"{shown(run.folder)} has a veto list of {count_of(vetoed, 'clip')}, which is no setting")
    return notes


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _interval(interval: Interval | None, sign: bool = False) -> str:
    return MISSING if interval is None else " to ".join(brief(end, sign) for end in interval)


def _seconds(value: float | None) -> str:
    return MISSING if value is None else f"{value:.1f}"
