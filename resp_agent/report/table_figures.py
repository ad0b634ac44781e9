"""A table of systems as a figure: our scores with their spread beside the published ones, readable when shown alone."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from resp_agent.report import style
from resp_agent.report.style import Theme

_ROW_IN = 0.36
_CAPTION_COLUMNS = 118


@dataclass(frozen=True)
class Compared:
    """A row of the figure."""

    title: str
    modality: str
    ours: dict[str, tuple[float, float]]
    """Metric -> (mean, standard deviation over seeds); NaN where there is none."""
    published: dict[str, float]
    """Metric -> published figure; NaN where there is none."""
    missing: str = ""
    """What stands in place of a row without results."""


def comparison_figure(
    title: str, rows: Sequence[Compared], metrics: dict[str, str], caption: str, theme: Theme
) -> bytes:
    """A panel for each metric (key -> name), a line for each row in the order given.

    Filled circles are ours, with a bar of one standard deviation to each side; open diamonds are the paper's: shape
    tells them apart where colour does not.
    """
    with style.styled(theme):
        height = _ROW_IN * len(rows)
        figure = style.new_figure(7.6, height)
        panels = figure.subplots(1, len(metrics), sharey=True, gridspec_kw={"wspace": 0.12}, squeeze=False)[0]
        figure.subplots_adjust(0, 0, 1, 1)
        for ax, (metric, name) in zip(panels, metrics.items(), strict=True):
            _draw_panel(ax, rows, metric, theme)
            ax.set_title(name)
        panels[0].set_ylim(len(rows) - 0.5, -0.5)
        style.set_tick_names(panels[0], "y", [f"{row.title} ({row.modality})" for row in rows])
        for label in panels[0].get_yticklabels():
            label.set_color(theme.ink)
        figure.text(0.0, 1 + 0.62 / height, title, ha="left", va="bottom", fontsize=11, fontweight="bold")
        panels[0].legend(
            handles=_legend(theme), loc="lower left", bbox_to_anchor=(0, 1 + 0.3 / height), ncols=2, frameon=False,
            borderpad=0, borderaxespad=0, handletextpad=0.4, labelcolor=theme.ink,
        )  # fmt: skip
        wrapped = textwrap.fill(caption, _CAPTION_COLUMNS, break_on_hyphens=False)
        figure.text(-0.38, -0.42 / height, wrapped, ha="left", va="top", color=theme.muted, parse_math=False)
        return style.to_png(figure)


def _draw_panel(ax: Axes, rows: Sequence[Compared], metric: str, theme: Theme) -> None:
    places = np.arange(len(rows))
    means, deviations = np.array([row.ours[metric] for row in rows], float).reshape(-1, 2).T
    published = np.array([row.published[metric] for row in rows], float)
    ax.hlines(places, np.fmin(means, published), np.fmax(means, published), color=theme.faint, linewidth=2.5)
    ax.plot(published, places, "D", markersize=5.5, markerfacecolor=theme.paper, markeredgecolor=theme.warm,
            markeredgewidth=1.4, zorder=3)  # fmt: skip
    spread = np.nan_to_num(deviations)
    ax.errorbar(means, places, xerr=spread, fmt="o", markersize=5.5, color=theme.accent, elinewidth=1.4, capsize=2.5,
                zorder=4)  # fmt: skip
    for place, row in zip(places, rows, strict=True):
        if row.missing:
            ax.text(0.98, place, row.missing, color=theme.muted, fontstyle="italic", ha="right", va="center")
    ax.set_xlim(0, 1)
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", ".25", ".5", ".75", "1"])
    ax.grid(axis="x", linewidth=0.8)
    ax.spines[:].set_visible(False)


def _legend(theme: Theme) -> list[Line2D]:
    ours = Line2D([], [], color=theme.accent, marker="o", markersize=5.5, linewidth=1.4, label="ours, mean ± sd")
    paper = Line2D([], [], color=theme.warm, marker="D", markersize=5.5, markerfacecolor=theme.paper, linewidth=0,
                   markeredgewidth=1.4, label="paper")  # fmt: skip
    return [ours, paper]
