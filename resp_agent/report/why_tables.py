"""Tables of why: the weights of a policy's features, and for each round what spoke for each cell that was asked for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from resp_agent.report import style
from resp_agent.report.blocks import table
from resp_agent.report.reasons import Cell, Reason, said
from resp_agent.report.record import RunRecord
from resp_agent.report.words import MISSING, change, finite, text

COLOURS = ("#2a78c2", "#e69f00", "#007a5a", "#cc79a7", "#e0cc2e", "#56b4e9", "#b8400a", "#666c76")
"""Of features in their order (after Okabe and Ito 2008, apart in lightness too); the last for all others."""
MEANINGS = {
    "weakness": "1 − F1 in the cell",
    "uncertainty": "entropy of the predictions",
    "rarity": "few training recordings of the label",
    "confusion": "taken for other labels, or they for it",
    "progress": "confidence has been moving",
    "style gap": "the best style's macro-F1 less this one's",
    "novelty": "few recordings and clips of the cell so far",
}
_LABELLED = 7.0
"""Share of a bar, in percent, from which a part has its number written in."""


@dataclass(frozen=True, eq=False)
class Known:
    """What was known of cells before a round. Letters: C labels, S styles."""

    f1: np.ndarray
    """(C, S) on validation, the label's own where validation has none in the style."""
    share: np.ndarray
    """(C, S) share of validation."""
    held: np.ndarray
    """(C,) whether validation holds the label."""
    real: np.ndarray | None
    """(C, S) real training recordings; None where not known."""
    clips: np.ndarray
    """(C, S) clips asked for in earlier rounds."""

    def f1_told(self, cell: Cell) -> str:
        """F1 in two digits; in brackets where it is the label's, a dash where validation does not hold the label."""
        if not self.held[cell[0]]:
            return MISSING
        told = style.two_digits(self.f1[cell])
        return told if self.share[cell] > 0 else f"({told})"


def known_before(record: RunRecord, reasons: Sequence[Reason], at: int) -> Known:
    """What was known before the round at place `at` of the journal."""
    before, shape = record.valid[max(at - 1, 0)], (len(record.labels), len(record.styles))
    by_cell, clips = before.by_cell(), np.zeros(shape, int)
    for reason in reasons[:at]:
        for cell, count in reason.asked.items():
            clips[cell] += count
    real = record.valid[0].train_counts
    return Known(
        by_cell["f1"], by_cell["share"], before.held, np.reshape(real, shape) if real else None, clips
    )  # fmt: skip


def feature_colours(reasons: Sequence[Reason]) -> dict[str, str]:
    """Feature -> colour, the same in all rounds."""
    names = list(dict.fromkeys(name for reason in reasons for name in reason.weights))
    return {name: COLOURS[min(at, len(COLOURS) - 1)] for at, name in enumerate(names)}


def weights_table(reasons: Sequence[Reason], colours: dict[str, str]) -> str:
    """Every feature with its colour, its weight (by round, where it changed) and its share of all that was chosen."""
    weighted = [reason for reason in reasons if reason.weights]
    changed = any(reason.weights != weighted[0].weights for reason in weighted)
    shown = {"weight": weighted[0]}
    if changed:
        shown = {f"weight in round {reason.round}": reason for reason in (weighted[0], weighted[-1])}
    shares = _overall(weighted)
    rows = []
    for name, colour in colours.items():
        cells = "".join(f'<td class="n">{_weight(reason.weights.get(name))}</td>' for reason in shown.values())
        rows.append(
            f'<tr><th scope="row"><i class="key" style="background:{colour}"></i>{text(said(name))}</th>{cells}'
            f'<td class="n">{percent(shares.get(name, 0.0)) if shares else MISSING}</td>'
            f"<td>{text(MEANINGS.get(said(name), ''))}</td></tr>"
        )
    head = "".join(f'<th scope="col" class="n">{title}</th>' for title in [*shown, "share of the score"])
    head = f'<tr><th scope="col">feature</th>{head}<th scope="col">what it says of a cell</th></tr>'
    return table(head, rows, "weights", "Weights of the features")


def _overall(reasons: Sequence[Reason]) -> dict[str, float]:
    """Shares over all rounds, clips weighing alike."""
    sums: dict[str, float] = {}
    for reason in reasons:
        for name, part in reason.contributions.items():
            sums[name] = sums.get(name, 0.0) + sum(count * part[cell] for cell, count in reason.asked.items())
    total = sum(value for value in sums.values() if value > 0)
    return {name: max(value, 0.0) / total for name, value in sums.items()} if total else {}


def _weight(value: float | None) -> str:
    return f"{value:.2f}".replace("-", "−") if finite(value) else MISSING


@dataclass(frozen=True)
class Span:
    """From where to where the bars of a run reach: 0 or below, and above."""

    low: float
    high: float


def span_of(reasons: Sequence[Reason]) -> Span:
    """So that all bars of all rounds fit."""
    lows, highs = [0.0], [0.0]
    for reason in reasons:
        parts = np.array(list(reason.contributions.values()))
        if parts.size:
            totals = [np.minimum(parts, 0).sum(axis=0), np.maximum(parts, 0).sum(axis=0)]
            cells = tuple(zip(*reason.asked, strict=True)) if reason.asked else ((), ())
            lows += [*totals[0][cells], totals[0].mean()]
            highs += [*totals[1][cells], totals[1].mean()]
    low, high = min(lows), max(highs)
    return Span(float(low), float(high) if high > low else 1.0)


def cells_table(record: RunRecord, reason: Reason, known: Known, colours: dict[str, str], span: Span) -> str:
    """What was asked for in a round, each cell with what was known of it, what spoke for it and what came of it."""
    scored = bool(reason.features)
    chance, valued = reason.probabilities is not None, reason.values is not None
    rows = []
    for cell in sorted(reason.asked, key=lambda cell: (-reason.asked[cell], cell)):
        count = reason.asked[cell]
        cells = [str(count), known.f1_told(cell), _heard(known, cell)]
        cells += [percent(reason.probabilities[cell], 1)] if chance else []
        if valued:
            unsure = reason.uncertainty[cell] if reason.uncertainty is not None else None
            cells += [change(reason.values[cell], 4), f"±{unsure:.4f}" if finite(unsure) else MISSING]
        if reason.credits:
            credit = reason.credits.get(cell)
            cells += [change(credit, 4)]
            cells += [change(credit / count, 4) if finite(credit) and count else MISSING] if valued else []
        name = f"{text(record.labels[cell[0]])} · {text(record.styles[cell[1]])}"
        numbers = "".join(f'<td class="n">{value}</td>' for value in cells)
        bar = _bar({name: part[cell] for name, part in reason.contributions.items()}, colours, span) if scored else ""
        rows.append(f'<tr><th scope="row">{name}</th>{numbers}{bar}</tr>')
    heads = ["clips", "F1", "heard before", *(["probability"] if chance else [])]
    heads += ["estimate, a clip", "unsure by"] if valued else []
    heads += ["credit", *(["credit, a clip"] if valued else [])] if reason.credits else []
    if scored:
        means = {name: float(part.mean()) for name, part in reason.contributions.items()}
        empty = '<td class="n"></td>' * len(heads)
        rows.append(
            f'<tr class="mean"><th scope="row">mean of all {len(record.labels) * len(record.styles)} cells</th>'
            f"{empty}{_bar(means, colours, span)}</tr>"
        )
    head = '<th scope="col">label · style</th>' + "".join(f'<th scope="col" class="n">{name}</th>' for name in heads)
    head += '<th scope="col">weight × value of each feature</th><th scope="col" class="n">score</th>' if scored else ""
    return table(f"<tr>{head}</tr>", rows, f"why{' scored' if scored else ''}", f"Round {reason.round}")


def _heard(known: Known, cell: Cell) -> str:
    """`0 + 12`: real recordings and clips."""
    real = MISSING if known.real is None else str(known.real[cell])
    return f"{real} + {known.clips[cell]}" if known.clips[cell] else real


def _bar(parts: dict[str, float], colours: dict[str, str], span: Span) -> str:
    """A stacked bar with what speaks against a cell left of zero, and the sum in a cell of its own."""
    whole = span.high - span.low
    against = {name: value for name, value in parts.items() if value < 0}
    speaks_for = {name: value for name, value in parts.items() if value > 0}
    before = 100 * (-span.low + sum(against.values())) / whole
    pieces = f'<i style="width:{before:.2f}%"></i>' if before > 0.005 else ""
    for name, value in [*against.items(), *speaks_for.items()]:
        width = 100 * abs(value) / whole
        number = weighed(value) if width >= _LABELLED else ""
        over = style.text_over([int(colours[name][at : at + 2], 16) / 255 for at in (1, 3, 5)])
        look = f"width:{width:.2f}%;background:{colours[name]};color:{over}"
        pieces += f'<span style="{look}" title="{text(said(name))} {weighed(value)}">{number}</span>'
    told = ", ".join(f"{said(name)} {weighed(value)}" for name, value in [*against.items(), *speaks_for.items()])
    return (
        f'<td class="stack"><div role="img" aria-label="{text(told or "nothing")}">{pieces}</div></td>'
        f'<td class="n">{weighed(sum(parts.values()))}</td>'
    )


def weighed(value: float) -> str:
    """A part of a score in two digits: .62, 1.25, −.30."""
    told = style.two_digits(abs(value))
    return f"−{told}" if value < 0 and told != ".00" else told


def percent(value: float, digits: int = 0) -> str:
    """A share of 1: 62 %."""
    return f"{100 * value:.{digits}f} %" if finite(value) else MISSING
