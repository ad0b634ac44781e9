"""Table 2 as text for a terminal, as plain data and as a figure: published rows, and those trained here, kept apart."""

import math
from collections.abc import Sequence
from dataclasses import asdict

from jobs.benchmarks.icbhi_rows import METRICS, best_of_its_kind, published_rows
from jobs.benchmarks.outcome import Outcome
from resp_agent.published import SOURCE
from resp_agent.report.style import LIGHT
from resp_agent.report.table_figures import Compared, comparison_figure
from resp_agent.report.terminal import text_table, wrapped
from resp_agent.report.words import MISSING, score

TITLE = "Table 2: ICBHI 2017, official split, four classes of cycles"
PUBLISHED = "Published, on the whole of ICBHI (6,898 cycles of 126 patients), percent"


def printed(outcomes: Sequence[Outcome], data: str, notes: Sequence[str]) -> str:
    """Both halves of the table, who is first, how each row was made, and notes.

    Args:
        data: what the rows here were trained and tested on, in a phrase.
    """
    theirs = [
        (
            one.method,
            one.backbone,
            str(one.year),
            one.pretraining or MISSING,
            *(_percent(getattr(one, m)) for m in METRICS),
        )
        for one in published_rows()
    ]
    ours = [
        (outcome.row.title, outcome.row.modality, outcome.row.pretraining, *(_mean(outcome, m) for m in METRICS),
         _kind(outcome))
        for outcome in outcomes
    ]  # fmt: skip
    made = [
        (outcome.row.title, f"{outcome.rate:g}" if outcome.rate else MISSING,
         f"{outcome.mean('parameters') / 1e6:.2f} M" if outcome.results else MISSING, score(outcome.mean("seconds"), 0))
        for outcome in outcomes
    ]  # fmt: skip
    names = tuple(METRICS.values())
    sections = [
        TITLE,
        "\n".join([PUBLISHED, *text_table(("method", "backbone", "year", "pretraining", *names), theirs, texts=4)]),
        "\n".join(
            [
                *_unindented(f"Trained here, on {data}, percent"),
                *text_table(("row", "modality", "pretraining", *names, "best published of its kind"), ours, texts=3),
            ]
        ),
        "\n".join(wrapped(sentence) for sentence in sentences(outcomes)),
        "\n".join(["How", *text_table(("row", "learning rate", "parameters", "seconds"), made, texts=1)]),
        "\n".join(["Notes", *(wrapped(note) for note in notes), wrapped(f"published: table 2 of {SOURCE}")]),
    ]
    return "\n\n".join(sections) + "\n"


def sentences(outcomes: Sequence[Outcome]) -> list[str]:
    """Who is first here, what is undefined, and what failed."""
    said = []
    scored = [outcome for outcome in outcomes if math.isfinite(outcome.mean("score"))]
    if scored:
        first = max(scored, key=lambda outcome: outcome.mean("score"))
        said.append(f"first here by Score: {first.row.title} ({_mean(first, 'score')})")
    for metric, lacking in (("specificity", "normal"), ("sensitivity", "abnormal")):
        if any(outcome.results and not math.isfinite(outcome.mean(metric)) for outcome in outcomes):
            said.append(f"{METRICS[metric]} is undefined: the test part holds no {lacking} cycle")
    for outcome in outcomes:
        if outcome.failed:
            seeds = ", ".join(map(str, sorted(outcome.failed)))
            said.append(f"failed: {outcome.row.title}, seed {seeds}: {'; '.join(sorted(set(outcome.failed.values())))}")
    return said


def as_plain(outcomes: Sequence[Outcome], data: dict, notes: Sequence[str]) -> dict:
    """Everything that the text says and each seed's results, for machines, scores as shares of 1; None: not known."""
    return {
        "title": TITLE,
        "published": [asdict(one) for one in published_rows()],
        "data": data,
        "rows": [_row(outcome) for outcome in outcomes],
        "verdict": sentences(outcomes),
        "notes": list(notes),
        "paper": SOURCE,
    }


def draw(outcomes: Sequence[Outcome], data: str) -> bytes:
    """The figure as PNG: published rows, then those trained here beside the best published one of their kind."""
    nothing = dict.fromkeys(METRICS, (math.nan, math.nan))
    rows = [
        Compared(
            one.method, f"{one.backbone}, {one.year}", nothing, {metric: getattr(one, metric) for metric in METRICS}
        )
        for one in published_rows()
    ]
    for outcome in outcomes:
        kind = best_of_its_kind(outcome.row)
        rows.append(
            Compared(
                f"Here: {outcome.row.title}",
                outcome.row.modality,
                {metric: (outcome.mean(metric), outcome.deviation(metric)) for metric in METRICS},
                {metric: getattr(kind, metric, math.nan) for metric in METRICS},
                "" if outcome.results else "failed" if outcome.failed else "not run",
            )
        )
    caption = (
        f"Published rows are of the whole of ICBHI. Rows that begin with Here are of {data}; the diamond beside them "
        f"is the best published row of their kind of model. Paper: table 2 of {SOURCE}."
    )
    return comparison_figure(TITLE, rows, METRICS, caption, LIGHT)


def _row(outcome: Outcome) -> dict:
    row, kind = outcome.row, best_of_its_kind(outcome.row)
    return {
        "title": row.title,
        "system": row.settings.system,
        "modality": row.modality,
        **{m: {"mean": _known(outcome.mean(m)), "sd": _known(outcome.deviation(m))} for m in METRICS},
        "best_published_of_its_kind": asdict(kind) if kind else None,
        "learning_rate": outcome.rate,
        "pretraining": row.pretraining,
        "seeds": {str(seed): outcome.results[seed] for seed in sorted(outcome.results)},
        "failed": {str(seed): why for seed, why in sorted(outcome.failed.items())},
    }


def _mean(outcome: Outcome, metric: str) -> str:
    if not outcome.results:
        return "failed" if outcome.failed else "not run"
    mean, deviation = outcome.mean(metric), outcome.deviation(metric)
    return _percent(mean) + (f" ± {100 * deviation:.2f}" if math.isfinite(deviation) else "")


def _kind(outcome: Outcome) -> str:
    kind = best_of_its_kind(outcome.row)
    return f"{_percent(kind.score)} ({kind.method})" if kind else MISSING


def _percent(value: float) -> str:
    return score(100 * value, 2)


def _unindented(text: str) -> list[str]:
    return wrapped(text, "").splitlines()


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
