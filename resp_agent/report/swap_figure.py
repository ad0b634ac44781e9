"""Clips whose style or content was swapped, as a figure: a panel for each measure, a line for each source of clips."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.lines import Line2D

from resp_agent.report import style
from resp_agent.report.style import Theme

_ROW_IN = 0.42
_APART = 0.17
"""Half the distance of the two swaps of a row, in rows."""


@dataclass(frozen=True)
class Swapped:
    """A row of the figure."""

    title: str
    values: dict[str, dict[str, tuple[float, ...]]]
    """Measure -> swap -> its value by seed; nothing where there is none."""


def swap_figure(
    rows: Sequence[Swapped], measures: dict[str, str], swaps: tuple[str, str], caption: str, theme: Theme
) -> bytes:
    """Means of the two swaps as a circle and a square, each seed as a small dot; PNG.

    Args:
        measures: measure -> title of its panel.
        swaps: their names, the circle's first.
    """
    looks = dict(zip(swaps, (("o", theme.accent, -_APART), ("s", theme.warm, _APART)), strict=True))
    with style.styled(theme):
        height = _ROW_IN * max(len(rows), 1)
        figure = style.new_figure(7.6, height)
        panels = figure.subplots(1, len(measures), sharey=True, gridspec_kw={"wspace": 0.16}, squeeze=False)[0]
        figure.subplots_adjust(0, 0, 1, 1)
        for ax, (measure, name) in zip(panels, measures.items(), strict=True):
            for place, row in enumerate(rows):
                for swap, (marker, colour, shift) in looks.items():
                    values = row.values[measure][swap]
                    if values:
                        at = place + shift
                        ax.plot(values, [at] * len(values), ".", ms=4, mew=0, alpha=0.6, color=theme.muted)
                        ax.plot([np.mean(values)], [at], marker, ms=6, mew=0, color=colour, zorder=3)
            ax.set_title(name)
            ax.grid(axis="x", linewidth=0.8)
            ax.spines[:].set_visible(False)
            low, high = ax.get_xlim()
            ax.set_xlim(min(low, 0), max(high, 1))
        panels[0].set_ylim(len(rows) - 0.5, -0.5)
        style.set_tick_names(panels[0], "y", [style.short(row.title, 24) for row in rows])
        heads = [Line2D([], [], color=colour, marker=marker, ms=6, mew=0, linewidth=0, label=f"{swap}, mean over seeds")
                 for swap, (marker, colour, _) in looks.items()]  # fmt: skip
        figure.legend(
            handles=heads, loc="lower left", bbox_to_anchor=(0, 1 + 0.35 / height), ncols=2, frameon=False,
            borderpad=0, borderaxespad=0, handletextpad=0.2, labelcolor=theme.ink,
        )  # fmt: skip
        figure.text(0, 1 + 0.65 / height, "Style and content apart", ha="left", fontsize=11, fontweight="bold")
        wrapped = textwrap.fill(caption, 118, break_on_hyphens=False)
        figure.text(-0.2, -0.42 / height, wrapped, ha="left", va="top", color=theme.muted, parse_math=False)
        return style.to_png(figure)
