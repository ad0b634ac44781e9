"""The page's tables: labels before and after, rounds, seconds, quarantine, settings, versions."""

import numpy as np

from resp_agent.curriculum.assessment import Assessment
from resp_agent.report.blocks import table
from resp_agent.report.record import RunRecord
from resp_agent.report.words import MISSING, change, count_of, duration, finite, gain, plain, score, text

QUARANTINE_ROWS = 20
"""Files that the quarantine table names before it only counts."""

_TOTALS = ("all", "total")
"""Phases that are no phase but the time of the whole run."""


def label_table(before: Assessment, after: Assessment) -> str:
    """Precision, recall and F1 of every label before and after, with the recordings that the split holds."""
    scores_before, scores_after = before.by_label, after.by_label
    support = np.bincount(after.truth, minlength=len(after.labels))
    rows = []
    for at, label in enumerate(after.labels):
        if not after.held[at]:
            absent = '<td class="n">0</td><td colspan="7">not in the test split</td>'
            rows.append(f'<tr class="absent"><th scope="row">{text(label)}</th>{absent}</tr>')
            continue
        cells = [f'<td class="n">{support[at]}</td>']
        for name in ("precision", "recall", "f1"):
            cells.append(_two(scores_before[name][at], scores_after[name][at]))
        cells.append(_gain(scores_before["f1"][at], scores_after["f1"][at]))
        rows.append(f'<tr><th scope="row">{text(label)}</th>{"".join(cells)}</tr>')
    rows.append(
        f'<tr class="total"><th scope="row">macro average</th><td class="n">{support.sum()}</td>'
        + "".join(_two(_macro(before, name), _macro(after, name)) for name in ("precision", "recall", "f1"))
        + _gain(_macro(before, "f1"), _macro(after, "f1"))
        + "</tr>"
    )
    head = (
        '<tr><th rowspan="2" scope="col">label</th><th rowspan="2" scope="col" class="n">recordings</th>'
        '<th colspan="2" scope="colgroup">precision</th><th colspan="2" scope="colgroup">recall</th>'
        '<th colspan="3" scope="colgroup">F1</th></tr><tr>'
        + '<th scope="col" class="n">before</th><th scope="col" class="n">after</th>' * 3
        + '<th scope="col" class="n">change</th></tr>'
    )
    return table(head, rows, "labels", "Test split, by label")


def _macro(assessment: Assessment, name: str) -> float:
    return float(assessment.by_label[name][assessment.held].mean()) if assessment.held.any() else float("nan")


def _two(before: float, after: float) -> str:
    return f'<td class="n was">{score(before)}</td><td class="n">{score(after)}</td>'


def _gain(before: float, after: float) -> str:
    shown = gain(before, after)
    kind = {"+": "up", "−": "down"}.get(shown[0], "same")
    return f'<td class="n {kind}">{shown}</td>'


def round_table(record: RunRecord) -> str:
    """What each round asked for and what came of it."""
    rows = []
    for line in record.rounds:
        asked = "; ".join(
            f"{text(r['label'])} · {text(r['style'])} ×{int(r['count'])}" for r in line.get("requests") or ()
        )
        seconds = line.get("seconds") or {}
        rows.append(
            f'<tr><th scope="row" class="n">{int(line["round"])}</th>'
            f'<td class="n">{score(line.get("valid_macro_f1"))}</td>'
            f'<td class="n">{change(line.get("reward")) if line["round"] else MISSING}</td>'
            f'<td class="n">{len(line.get("clip_ids") or ())}</td>'
            + "".join(f'<td class="n">{duration(seconds.get(name))}</td>' for name in ("synthesize", "learn"))
            + f'<td class="wide">{asked or "nothing"}</td></tr>'
        )
    numbers = ("round", "macro-F1", "reward", "clips", "synthesis", "learning")
    head = "".join(f'<th scope="col" class="n">{name}</th>' for name in numbers)
    head = f'<tr>{head}<th scope="col">requests (label · style × clips)</th></tr>'
    return table(head, rows, "rounds", "Validation split, by round")


def seconds_table(phases: dict[str, float]) -> str:
    """Where the time went, each phase with a bar of its share."""
    shown = {name: value for name, value in phases.items() if finite(value) and name not in _TOTALS}
    longest = max(shown.values(), default=0) or 1
    rows = [
        f'<tr><th scope="row">{text(str(name).replace("_", " "))}</th><td class="n">{duration(value)}</td>'
        f'<td class="bar"><span style="width:{100 * value / longest:.1f}%"></span></td></tr>'
        for name, value in shown.items()
    ]
    total = total_seconds(phases)
    rows.append(f'<tr class="total"><th scope="row">total</th><td class="n">{duration(total)}</td><td></td></tr>')
    return table(
        '<tr><th scope="col">phase</th><th scope="col" class="n">time</th><th></th></tr>',
        rows,
        "seconds",
        "Time by phase",
    )


def total_seconds(phases: dict[str, float]) -> float:
    """The recorded total, or the sum of the phases."""
    recorded = [phases[name] for name in _TOTALS if finite(phases.get(name))]
    return recorded[0] if recorded else sum(value for value in phases.values() if finite(value))


def quarantine_table(quarantine: list[dict]) -> str:
    """The first files that were set aside, each with its reason, and how many more there are."""
    if not quarantine:
        return "<p>Nothing: every file that was found could be used.</p>"
    rows = [
        f'<tr><td>{text(row.get("source", ""))}</td><td class="path">{text(relative(str(row.get("path", ""))))}</td>'
        f'<td class="wide">{text(row.get("reason", ""))}</td></tr>'
        for row in quarantine[:QUARANTINE_ROWS]
    ]
    first = table(
        '<tr><th scope="col">source</th><th scope="col">file</th><th scope="col">reason</th></tr>',
        rows,
        "quarantine",
        "Files set aside",
    )
    more = len(quarantine) - len(rows)
    return first + (
        f"<p>And {count_of(more, 'more file')}; <code>quarantine.parquet</code> has them all.</p>" if more else ""
    )


def relative(path: str) -> str:
    """A path without the machine's part: as it is where it is relative, else its last two parts."""
    parts = path.replace("\\", "/").split("/")
    absolute = path.startswith(("/", "\\")) or ":" in parts[0]
    return "/".join(parts[-2:]) if absolute else path


def settings_table(settings: dict) -> str:
    """Every setting by its dotted name."""
    rows = [
        f'<tr><th scope="row">{text(name)}</th><td class="wide">{text(plain(value))}</td></tr>'
        for name, value in flatten(settings)
    ]
    return table('<tr><th scope="col">setting</th><th scope="col">value</th></tr>', rows, "settings", "Settings")


def flatten(settings: dict, prefix: str = "") -> list[tuple[str, object]]:
    """Nested settings as (dotted name, value), in their order."""
    pairs: list[tuple[str, object]] = []
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            pairs += flatten(value, f"{prefix}{name}.")
        else:
            pairs.append((f"{prefix}{name}", value))
    return pairs


def versions_table(versions: dict[str, str]) -> str:
    """Packages and their versions."""
    rows = [f'<tr><th scope="row">{text(name)}</th><td>{text(version)}</td></tr>' for name, version in versions.items()]
    return table('<tr><th scope="col">package</th><th scope="col">version</th></tr>', rows, "versions", "Versions")
