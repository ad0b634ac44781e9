"""A table of outcomes as text for a terminal, as plain data and as a figure."""

import math
from collections.abc import Sequence

import numpy as np

from jobs.benchmarks.outcome import METRICS, Outcome
from resp_agent.published import SOURCE
from resp_agent.report.style import LIGHT
from resp_agent.report.table_figures import Compared, comparison_figure
from resp_agent.report.terminal import text_table, wrapped
from resp_agent.report.words import MISSING, score

SHOWN = {"accuracy": "accuracy", "macro_f1": "macro-F1", "tail_f1": "tail-F1"}


def printed(title: str, outcomes: Sequence[Outcome], sentences: Sequence[str], notes: Sequence[str]) -> str:
    """The table with the paper's figures beside ours, what follows from it, how each row was made, and notes."""
    shown = {metric: name for metric, name in SHOWN.items() if metric != "tail_f1" or _has_tail(outcomes)}
    head = ["row", "modality", *(part for name in shown.values() for part in (name, "paper"))]
    lines = []
    for outcome in outcomes:
        figures = ((_ours(outcome, metric), score(getattr(outcome.row.published, metric, None))) for metric in shown)
        lines.append((outcome.row.title, outcome.row.modality, *(part for pair in figures for part in pair)))
    made = [
        (outcome.row.title, outcome.row.pretraining, f"{outcome.rate:g}" if outcome.rate else MISSING,
         _millions(outcome), score(outcome.mean("seconds"), 0))
        for outcome in outcomes
    ]  # fmt: skip
    how = ("row", "pretraining", "learning rate", "parameters", "seconds")
    sections = [
        "\n".join([title, *text_table(head, lines, texts=2)]),
        "\n".join(wrapped(sentence) for sentence in sentences),
        "\n".join(["How", *text_table(how, made, texts=2)]),
        "\n".join(["Notes", *(wrapped(note) for note in notes), wrapped(f"paper: {SOURCE}")]),
    ]
    return "\n\n".join(sections) + "\n"


def as_plain(title: str, outcomes: Sequence[Outcome], sentences: Sequence[str], notes: Sequence[str]) -> dict:
    """Everything that the text says and each seed's results, for machines; what is not known is None."""
    return {
        "title": title,
        "rows": [_row(outcome) for outcome in outcomes],
        "verdict": list(sentences),
        "notes": list(notes),
        "paper": SOURCE,
    }


def draw(title: str, outcomes: Sequence[Outcome], note: str) -> bytes:
    """The figure as PNG."""
    rows = [
        Compared(
            title=outcome.row.title,
            modality=outcome.row.modality,
            ours={metric: (outcome.mean(metric), outcome.deviation(metric)) for metric in METRICS},
            published={metric: getattr(outcome.row.published, metric, math.nan) for metric in METRICS},
            missing="" if outcome.results else "failed" if outcome.failed else "not run",
        )
        for outcome in outcomes
    ]
    return comparison_figure(title, rows, METRICS, f"Ours: {note}. Paper: {SOURCE}, Resp-229k.", LIGHT)


def _row(outcome: Outcome) -> dict:
    row = outcome.row
    return {
        "title": row.title,
        "modality": row.modality,
        **{name: {"mean": _known(outcome.mean(name)), "sd": _known(outcome.deviation(name))} for name in SHOWN},
        "published": vars(row.published) if row.published else None,
        "learning_rate": outcome.rate,
        "pretraining": row.pretraining,
        "seeds": {str(seed): outcome.results[seed] for seed in sorted(outcome.results)},
        "failed": {str(seed): why for seed, why in sorted(outcome.failed.items())},
    }


def _has_tail(outcomes: Sequence[Outcome]) -> bool:
    """Whether tail-F1 says something else than macro-F1: with 8 labels, all are the tail."""
    return any(not np.array_equal(one.values("tail_f1"), one.values("macro_f1")) for one in outcomes)


def _ours(outcome: Outcome, metric: str) -> str:
    if not outcome.results:
        return "failed" if outcome.failed else "not run"
    deviation = outcome.deviation(metric)
    return score(outcome.mean(metric)) + (f" ± {deviation:.3f}" if math.isfinite(deviation) else "")


def _millions(outcome: Outcome) -> str:
    count = outcome.mean("parameters")
    return f"{count / 1e6:.2f} M" if math.isfinite(count) else MISSING


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
