"""What a policy thought of every label and style, round by round: heat maps with what it asked for written in."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from resp_agent.report import style
from resp_agent.report.reasons import Cell
from resp_agent.report.style import Theme

MOST_PANELS = 8
"""Rounds in a figure."""
_WIDTH_IN = 10.3
"""Of a figure, names included."""
_NAMES_IN = 2.3
_CELL_IN = (0.29, 0.235)
_GAP_IN = (0.3, 0.42)
_BAR_IN = (2.2, 0.11)
_LARGEST_DOT = 15.0
"""Area of the dot of the greatest uncertainty, in points squared."""


@dataclass(frozen=True, eq=False)
class Panel:
    """A round. Letters: C labels, S styles."""

    round: int
    values: np.ndarray
    """(C, S), NaN where there is none."""
    asked: dict[Cell, int]
    """Clips asked for, by cell."""
    uncertainty: np.ndarray | None = None
    """(C, S)."""


@dataclass(frozen=True, eq=False)
class Scale:
    """What the colours mean, the same in all figures of a run."""

    title: str
    told: Callable[[float], str]
    """A value as the colour bar writes it."""
    top: float
    """The greatest value or, where `signed`, the greatest distance from zero."""
    signed: bool = False
    most_uncertain: float = 0.0

    @property
    def norm(self) -> Normalize:
        """Probabilities take colours by their square root, or a few large ones would leave the others one colour."""
        return Normalize(-self.top, self.top) if self.signed else PowerNorm(0.5, 0, self.top)

    def colours(self, theme: Theme):
        """The colour map of a theme."""
        return style.diverging(theme) if self.signed else style.sequential(theme)


def scale_of(panels: Sequence[Panel], title: str, told: Callable[[float], str], signed: bool) -> Scale:
    """The scale on which all panels fit."""
    tops = [float(np.nanmax(np.abs(panel.values))) for panel in panels]
    unsure = [float(np.nanmax(panel.uncertainty)) for panel in panels if panel.uncertainty is not None]
    return Scale(title, told, max(tops, default=0.0) or 1.0, signed, max(unsure, default=0.0))


def spread(count: int, most: int) -> list[int]:
    """At most `most` of the indices 0 to count - 1: the first, the last, and evenly spaced ones between."""
    return sorted({round(at) for at in np.linspace(0, count - 1, min(count, most))}) if count else []


def cells_figure(
    panels: Sequence[Panel], labels: Sequence[str], styles: Sequence[str], scale: Scale, theme: Theme
) -> bytes:
    """A heat map for each round, in rows; what was asked for is outlined and numbered; PNG."""
    size = (len(styles) * _CELL_IN[0], len(labels) * _CELL_IN[1])
    across = max(min(len(panels), 4, int((_WIDTH_IN - _NAMES_IN + _GAP_IN[0]) / (size[0] + _GAP_IN[0]))), 1)
    down = math.ceil(len(panels) / across)
    width = across * size[0] + (across - 1) * _GAP_IN[0]
    height = down * size[1] + (down - 1) * _GAP_IN[1]
    with style.styled(theme):
        figure = style.new_figure(width, height)
        for at, panel in enumerate(panels):
            row, column = divmod(at, across)
            left = column * (size[0] + _GAP_IN[0]) / width
            bottom = 1 - (row * (size[1] + _GAP_IN[1]) + size[1]) / height
            ax = figure.add_axes((left, bottom, size[0] / width, size[1] / height))
            _draw_cells(ax, panel, scale, theme)
            style.set_tick_names(
                ax, "y", [style.short(name, 34, 1) for name in labels] if column == 0 else [""] * len(labels)
            )
            lowest = at + across >= len(panels)
            names = [style.short(name, 26, 1) for name in styles] if lowest else [""] * len(styles)
            style.set_tick_names(ax, "x", names, rotation=90, va="top")
            ax.set_title(f"Round {panel.round}", pad=5)
        _draw_scale(figure, scale, width, height, theme)
        return style.to_png(figure)


def _draw_cells(ax: Axes, panel: Panel, scale: Scale, theme: Theme) -> None:
    colours, norm = scale.colours(theme), scale.norm
    ax.imshow(
        np.ma.masked_invalid(panel.values), cmap=colours, norm=norm, aspect="auto", interpolation="nearest"
    )  # fmt: skip
    rows, columns = panel.values.shape
    for row, column in zip(*np.nonzero(np.isnan(panel.values)), strict=True):
        ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, hatch="////", linewidth=0))
    ax.set_xticks(np.arange(columns + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
    ax.grid(which="minor", color=theme.paper, linewidth=1.2)
    ax.spines[:].set_visible(False)
    dotted = panel.uncertainty is not None and scale.most_uncertain > 0
    if dotted:
        share = np.nan_to_num(panel.uncertainty) / scale.most_uncertain
        at_row, at_column = np.nonzero(share > 0)
        over = [_over(colours, norm, panel.values[cell]) for cell in zip(at_row, at_column, strict=True)]
        areas = _LARGEST_DOT * share[at_row, at_column]
        ax.scatter(at_column + 0.32, at_row - 0.28, s=areas, color=over, linewidths=0)
    for (row, column), count in panel.asked.items():
        ax.add_patch(
            Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, fill=False, edgecolor=theme.ink, linewidth=1.3, zorder=3)
        )
        value = panel.values[row, column]
        colour = theme.ink if np.isnan(value) else _over(colours, norm, value)
        shown = str(count) if count < 1000 else f"{count / 1000:.0f}k"
        size = 7.5 if len(shown) < 3 else 6.5
        ax.text(
            column, row + (0.1 if dotted else 0.03), shown, ha="center", va="center", zorder=4, fontsize=size,
            fontweight="bold", color=colour,
        )  # fmt: skip


def _over(colours, norm: Normalize, value: float) -> str:
    return style.text_over(colours(float(norm(0.0 if math.isnan(value) else value))))


def _draw_scale(figure: Figure, scale: Scale, width: float, height: float, theme: Theme) -> None:
    """Title and colour bar above the panels."""
    base = 1 + 0.4 / height
    figure.text(-_NAMES_IN / width, base, scale.title, ha="left", va="bottom", fontsize=9.5, fontweight="bold")
    left = max(width - _BAR_IN[0], 0.5) / width
    bar = figure.add_axes((left, base + 0.02 / height, _BAR_IN[0] / width, _BAR_IN[1] / height))
    low = -scale.top if scale.signed else 0.0
    values = np.linspace(low, scale.top, 64)
    bar.imshow(values[None], cmap=scale.colours(theme), norm=scale.norm, aspect="auto", extent=(low, scale.top, 0, 1))
    middle = 0.0 if scale.signed else scale.top / 2
    bar.set_xticks(
        [low, middle, scale.top],
        [scale.told(value) if value else "0" for value in (low, middle, scale.top)],
        fontsize=8,
    )
    bar.xaxis.tick_top()
    bar.set_yticks([])
    bar.spines[:].set_visible(False)
