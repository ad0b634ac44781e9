"""What a colleague sees first: the test score before and after, how sure it is, and what it cost."""

from resp_agent.report.record import RunRecord
from resp_agent.report.tables import total_seconds
from resp_agent.report.words import MISSING, count_of, duration, finite, gain, score, text


def headline_html(record: RunRecord) -> str:
    """The headline with its scale and its tiles."""
    summary = record.summary
    before, after = summary.get("test_macro_f1_before"), summary.get("test_macro_f1_after")
    low, high = summary.get("test_macro_f1_ci95") or (None, None)
    kind = "down" if finite(before) and finite(after) and after < before else "up"
    return (
        f'<p class="eyebrow">Macro-F1 on the untouched test split</p>'
        f'<h1><span class="was">{_data(before)}</span> <span class="arrow" aria-label="to">→</span> '
        f'<span class="now">{_data(after)}</span> <span class="gain {kind}">{gain(before, after)}</span></h1>'
        f'<p class="lead">{_sentence(record, before, after, low, high)}</p>'
        f"{_scale(before, after, low, high)}{_tiles(record)}"
    )


def _data(value) -> str:
    return f'<data value="{value!r}">{score(value)}</data>' if finite(value) else MISSING


def _sentence(record: RunRecord, before, after, low, high) -> str:
    held = int(record.test_after.held.sum())
    over = f"Mean over the {count_of(held, 'label')} that the test split holds"
    if not (finite(low) and finite(high)):
        return f"{over}. No interval was computed."
    known = f"{over}; 95 % interval of the score after, patients resampled: {score(low)} to {score(high)}."
    if not finite(before):
        return known
    if before < low:
        return f"{known} The score before lies below it."
    if before > high:
        return f"{known} The score before lies above it: the diagnoser got worse."
    return f"{known} The score before lies inside it: this run alone does not show a change."


def _scale(before, after, low, high) -> str:
    """A line from 0 to 1 with both scores and the interval, drawn with CSS."""
    marks = ""
    if finite(low) and finite(high):
        marks += f'<span class="band" style="left:{100 * low:.2f}%;width:{100 * (high - low):.2f}%"></span>'
    if finite(before):
        marks += _dot("before", before, _side(before, after))
    if finite(after):
        marks += _dot("after", after, _side(after, before))
    ticks = "".join(f'<b style="left:{100 * at}%">{at:g}</b>' for at in (0, 0.25, 0.5, 0.75, 1))
    return f'<div class="scale" aria-hidden="true">{ticks}{marks}</div>'


def _dot(name: str, value: float, side: str) -> str:
    return f'<span class="dot {name}" style="left:{100 * value:.2f}%"><i class="{side}">{name}</i></span>'


def _side(here, there) -> str:
    """Where a mark's word goes, so that two close marks keep clear of each other."""
    if not finite(there) or abs(here - there) > 0.18:
        return "middle"
    return "end" if here < there else "start"


def _tiles(record: RunRecord) -> str:
    summary = record.summary
    rounds = [line for line in record.rounds if line["round"] > 0]
    policy = str(summary.get("policy", MISSING))
    made = record.clips_made
    first, last = record.rounds[0].get("valid_macro_f1"), record.rounds[-1].get("valid_macro_f1")
    budget = summary.get("budget")
    seconds = summary.get("seconds") or {}
    generator = (record.settings.get("generator") or {}).get("kind")
    tiles = [
        (
            "policy",
            text(policy),
            "no clips: the same rounds without requests"
            if policy == "none"
            else f"generator: {text(generator)}"
            if generator
            else "",
        ),
        ("clips synthesized", str(made), f"of a budget of {text(budget)}" if budget is not None else ""),
        ("rounds", str(len(rounds)), f"seed {text(summary.get('seed', MISSING))}"),
        ("validation", f"{score(first)} → {score(last)}", "macro-F1, first to last"),
        (
            "time",
            duration(total_seconds(seconds)) if seconds else MISSING,
            f"{total_seconds(seconds):.0f} s in all" if seconds else "",
        ),
    ]
    return (
        '<dl class="tiles">'
        + "".join(
            f'<div><dt>{name}</dt><dd>{value}</dd><dd class="more">{more}</dd></div>' for name, value, more in tiles
        )
        + "</dl>"
    )
