"""Runs compared, as a figure: validation by clips spent, and beside it the test score of each."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from resp_agent.report import style
from resp_agent.report.style import Theme

_LABEL_IN = 0.36
"""Height of a label of two lines."""
_CAPTION_COLUMNS = 125
_NAME_COLUMNS = 40
_DASHES = ("-", (0, (5, 1.6)), (0, (1.6, 1.4)))
"""Beyond the colours, lines are told apart by these."""
_MAIN = {"linewidth": 2, "marker": "o", "markersize": 3.2, "markeredgewidth": 0}


@dataclass(frozen=True)
class Line:
    """A run, or several that differ in nothing but the seed."""

    name: str
    curves: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...]
    """For each run clips spent, and validation macro-F1 then: after round 0, 1, ..."""
    test: float | None
    """Test macro-F1 after the run, the mean of several; None where it is not known."""
    interval: tuple[float, float] | None
    """Of that."""


def comparison_figure(lines: Sequence[Line], caption: str, theme: Theme) -> bytes:
    """A line and a marker for each of the lines, called by its name at the right; PNG."""
    with style.styled(theme):
        height = max(3.6, 0.6 + _LABEL_IN * len(lines))
        figure = style.new_figure(8.6, height)
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(5.2, 1), gridspec_kw={"wspace": 0.04})
        figure.subplots_adjust(0, 0, 0.72, 1)
        looks = [_look(place, theme) for place in range(len(lines))]
        for line, look in zip(lines, looks, strict=True):
            _draw_curves(left, line, look)
        _draw_tests(right, lines, looks)
        left.set_xlabel("clips spent")
        left.set_ylabel("macro-F1")
        left.grid(axis="y", linewidth=0.8)
        right.grid(axis="y", linewidth=0.8)
        left.set_title("Validation, round by round")
        right.set_title("Test")
        left.margins(x=0.02)
        low, high = left.get_ylim()
        left.set_ylim(max(low, -0.02), min(high, 1.02))
        _name(right, lines, looks, height, theme)
        wrapped = textwrap.fill(caption, _CAPTION_COLUMNS, break_on_hyphens=False)
        figure.text(0, -0.55 / height, wrapped, ha="left", va="top", color=theme.muted, parse_math=False)
        return style.to_png(figure)


def spread(wanted: Sequence[float], distance: float, low: float, high: float) -> np.ndarray:
    """Places (N,) as near to the wanted ones as a distance between neighbours allows, in their order.

    They keep between `low` and `high` if there is room. Neighbours that are too close form a block about the mean of
    what they want.
    """
    wanted = np.asarray(wanted, float)
    order = np.argsort(wanted, kind="stable")
    blocks: list[list[float]] = []
    for value in wanted[order]:
        blocks.append([value])
        while len(blocks) > 1 and _start(blocks[-1], distance, low, high) < (
            _start(blocks[-2], distance, low, high) + distance * len(blocks[-2])
        ):
            last = blocks.pop()
            blocks[-1] += last
    places = np.empty(len(wanted))
    places[order] = [_start(block, distance, low, high) + distance * at for block in blocks for at in range(len(block))]
    return places


def _start(block: Sequence[float], distance: float, low: float, high: float) -> float:
    length = distance * (len(block) - 1)
    return max(min(float(np.mean(block)) - length / 2, high - length), low)


def _look(place: int, theme: Theme) -> dict:
    colours = (theme.accent, theme.warm, "#009e73", "#b7568f", "#8a7000", "#7a6ff0", theme.ink, "#8a8f98")
    return {"color": colours[place % len(colours)], "linestyle": _DASHES[place // len(colours) % len(_DASHES)]}


def _draw_curves(ax: Axes, line: Line, look: dict) -> None:
    several = len(line.curves) > 1
    for clips, scores in line.curves:
        if several:
            ax.plot(clips, scores, **look, linewidth=0.8, alpha=0.35)
        else:
            ax.plot(clips, scores, **look, **_MAIN)
    if several:
        rounds = min(len(scores) for _, scores in line.curves)
        clips = np.mean([clips[:rounds] for clips, _ in line.curves], axis=0)
        scores = np.mean([scores[:rounds] for _, scores in line.curves], axis=0)
        ax.plot(clips, scores, **look, **_MAIN)


def _draw_tests(ax: Axes, lines: Sequence[Line], looks: Sequence[dict]) -> None:
    for place, (line, look) in enumerate(zip(lines, looks, strict=True)):
        if line.interval:
            ax.plot([place, place], line.interval, color=look["color"], linewidth=1.6, solid_capstyle="butt")
        if line.test is not None:
            ax.plot([place], [line.test], "o", color=look["color"], markersize=6, markeredgewidth=0)
    ax.set_xlim(-0.8, len(lines) - 0.2)
    ax.set_xticks([])
    ax.spines["left"].set_visible(False)
    ax.tick_params(labelleft=False)


def _name(ax: Axes, lines: Sequence[Line], looks: Sequence[dict], height_in: float, theme: Theme) -> None:
    """Names at the right of the test panel, beside their markers or, without a test, the end of their line."""
    low, high = ax.get_ylim()
    ends = [line.test if line.test is not None else np.mean([y[-1] for _, y in line.curves] or [low]) for line in lines]
    label = _LABEL_IN / height_in * (high - low)
    places = spread(ends, label, low + label / 2, high - label / 2)
    edge = len(lines) - 0.2
    room = len(lines) + 0.6
    for at, (line, look, end, place) in enumerate(zip(lines, looks, ends, places, strict=True)):
        start = at + 0.35 if line.test is not None else edge
        ax.plot(
            [start, edge, edge + 0.07 * room],
            [end, end, place],
            color=look["color"],
            linewidth=0.7,
            alpha=0.6,
            clip_on=False,
        )
        told = _cut(line.name) + "\n" + _said(line)
        ax.text(
            edge + 0.1 * room,
            place,
            told,
            ha="left",
            va="center",
            color=look["color"],
            linespacing=1.25,
            parse_math=False,
            clip_on=False,
        )


def _cut(name: str) -> str:
    return name if len(name) <= _NAME_COLUMNS else f"{name[: _NAME_COLUMNS - 1]}…"


def _said(line: Line) -> str:
    if line.test is None:
        return "no test score yet"
    return f"{line.test:.3f}" + (f"  ({line.interval[0]:.3f} to {line.interval[1]:.3f})" if line.interval else "")
