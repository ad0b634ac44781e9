"""Planners compared: every row's test scores, and its paired difference to `random` with the interval."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from resp_agent.report import style
from resp_agent.report.style import Theme

_ROW_IN = 0.27


@dataclass(frozen=True)
class PlannerRecord:
    """A row of the figure."""

    title: str
    scores: tuple[float, ...]
    """Test macro-F1, one a seed."""
    difference: tuple[float, float, float] | None
    """To `random`: mean, and the interval's lower and upper end; None where there is none."""
    leading: bool = False
    """Whether the row is drawn in the accent."""


def planners_figure(rows: Sequence[PlannerRecord], caption: str, theme: Theme) -> bytes:
    """A line for each row in the order given, scores to the left and differences to the right; PNG.

    An interval that contains zero is drawn pale: the row is not separated from `random`.
    """
    with style.styled(theme):
        height = _ROW_IN * max(len(rows), 2)
        figure = style.new_figure(9.0, height)
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        figure.subplots_adjust(0, 0, 1, 1, wspace=0.06)
        right.axvline(0, color=theme.muted, linewidth=0.8)
        for place, row in enumerate(rows):
            colour = theme.accent if row.leading else theme.ink
            left.plot(row.scores, [place] * len(row.scores), "o", ms=4, mew=0, alpha=0.45, color=theme.muted)
            mean = float(np.mean(row.scores))
            left.plot([mean], [place], "o", ms=7, mew=0, color=colour)
            left.annotate(f"{mean:.3f}", (1.0, place), xycoords=("axes fraction", "data"), ha="right", va="center",
                          fontsize=8, color=colour, fontweight="bold" if row.leading else "normal")  # fmt: skip
            if row.difference is not None:
                middle, low, high = row.difference
                separated = low > 0 or high < 0
                right.plot([low, high], [place, place], color=colour if separated else theme.muted, linewidth=2,
                           alpha=1 if separated else 0.5, solid_capstyle="round")  # fmt: skip
                right.plot([middle], [place], "o", ms=6, mew=0, color=colour if separated else theme.muted)
        low, high = left.get_xlim()
        left.set_xlim(low, high + 0.14 * (high - low))
        left.set_ylim(len(rows) - 0.4, -0.6)
        for ax in (left, right):
            ax.grid(axis="x", color=theme.faint, linewidth=0.8)
            ax.spines[:].set_visible(False)
        left.set_xlabel("test macro-F1: each seed, and the mean")
        right.set_xlabel("difference to random, 95 % interval (pale: not separated)")
        style.set_tick_names(left, "y", [row.title for row in rows])
        left.set_title("Planners at one budget", loc="left", fontweight="bold")
        wrapped = textwrap.fill(caption, 120, break_on_hyphens=False)
        figure.text(0, -0.55 / height, wrapped, ha="left", va="top", color=theme.muted, parse_math=False)
        return style.to_png(figure)
