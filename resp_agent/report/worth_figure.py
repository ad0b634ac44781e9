"""What clips are worth, as a figure: a dot for each seed, and their mean."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from resp_agent.report import style
from resp_agent.report.style import Theme

_ROW_IN = 0.32


@dataclass(frozen=True)
class Worth:
    """A row of the figure."""

    title: str
    scores: tuple[float, ...]
    """Test macro-F1, one a seed, in the same order in every row."""


def worth_figure(rows: Sequence[Worth], caption: str, theme: Theme) -> bytes:
    """A line for each row in the order given; PNG."""
    with style.styled(theme):
        height = _ROW_IN * max(len(rows), 1)
        figure = style.new_figure(7.0, height)
        ax = figure.subplots()
        figure.subplots_adjust(0, 0, 1, 1)
        for place, row in enumerate(rows):
            ax.plot(row.scores, [place] * len(row.scores), "o", ms=4, mew=0, alpha=0.5, color=theme.muted)
            mean = float(np.mean(row.scores))
            ax.plot([mean], [place], "o", ms=7, mew=0, color=theme.ink)
            ax.text(mean, place - 0.28, f"{mean:.3f}", ha="center", va="bottom", fontsize=8, color=theme.ink)
        ax.set_ylim(len(rows) - 0.4, -0.8)
        ax.set_xlabel("test macro-F1: mean, and each seed")
        style.set_tick_names(ax, "y", [row.title for row in rows])
        ax.set_title("What clips are worth", loc="left", fontweight="bold")
        wrapped = textwrap.fill(caption, 100, break_on_hyphens=False)
        figure.text(0, -0.55 / height, wrapped, ha="left", va="top", color=theme.muted, parse_math=False)
        return style.to_png(figure)
