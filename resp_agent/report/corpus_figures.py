"""The figures of a corpus: its long tail, its hours, and what became of everything found."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from resp_agent.durable import write_atomic
from resp_agent.report import style
from resp_agent.report.style import LIGHT, Theme
from resp_agent.report.words import MISSING, duration
from resp_agent.taxonomy import UNLABELLED

_ROW_IN = 0.3
"""Height of a row of a table or of a bar with its gap."""


def draw(stats: dict, folder: Path) -> list[Path]:
    """Writes the figures of `corpus.statistics.statistics` as PNG into a folder, and returns their paths."""
    drawn: dict[str, Callable[[dict, Theme], bytes]] = {
        "labels.png": labels_figure,
        "hours.png": hours_figure,
        "found.png": found_figure,
    }
    paths = []
    for name, make in drawn.items():
        paths.append(Path(folder) / name)
        write_atomic(paths[-1], make(stats, LIGHT))
    return paths


def labels_figure(stats: dict, theme: Theme) -> bytes:
    """Recordings by label and source as a heat table, and of each label as a bar; both logarithmic."""
    sources = [name for name, source in stats["by_source"].items() if source["files"]]
    labels = sorted(stats["labels"], key=lambda label: (label == UNLABELLED, -stats["labels"][label]["files"]))
    counts = np.array([[stats["labels"][label]["sources"].get(name, 0) for name in sources] for label in labels])
    totals = counts.sum(axis=1)
    # At least as wide as its title.
    height, left, right = _ROW_IN * len(labels), max(0.84 * len(sources), 2.4), 2.6
    with style.styled(theme):
        figure = style.new_figure(left + 0.3 + right, height)
        width = figure.get_figwidth()
        table = figure.add_axes((0, 0, left / width, 1))
        _count_table(table, counts, theme)
        style.set_tick_names(table, "y", [style.short(label, 36, 1) for label in labels])
        slanted = {"rotation": 30, "ha": "right", "va": "top", "rotation_mode": "anchor"}
        style.set_tick_names(table, "x", [style.short(name, 18, 1) for name in sources], **slanted)
        for label in table.get_yticklabels():
            label.set_color(theme.ink)
        table.set_title("Recordings by label and source")
        bars = figure.add_axes((1 - right / width, 0, right / width, 1), sharey=table)
        _log_bars(bars, np.arange(len(labels)), totals, [theme.accent] * len(labels), [f"{n:,}" for n in totals], theme)
        bars.tick_params(labelleft=False)
        bars.set_title("All sources, logarithmic")
        return style.to_png(figure)


def hours_figure(stats: dict, theme: Theme) -> bytes:
    """Hours of each source and split on a logarithmic axis, and how long their recordings are."""
    rows = [
        (name, split, part) for name, source in stats["by_source"].items() for split, part in source["splits"].items()
    ]
    hues = {"train": theme.accent, "valid": style.sequential(theme)(0.45), "test": theme.warm, "none": theme.muted}
    colours = [hues[split] for _, split, _ in rows]
    sources = [name for name, _, _ in rows]
    # A gap before each source, so that its splits are seen as one group.
    places = np.arange(len(rows)) + 0.5 * np.cumsum(
        [at > 0 and sources[at] != sources[at - 1] for at in range(len(rows))]
    )
    names = [f"{style.short(name, 20, 1)} · {split}" for name, split, _ in rows]
    with style.styled(theme):
        figure = style.new_figure(8.6, _ROW_IN * (places[-1] + 1))
        hours, seconds = figure.subplots(1, 2, sharey=True, width_ratios=(1.15, 1), gridspec_kw={"wspace": 0.14})
        figure.subplots_adjust(0, 0, 1, 1)
        amounts = np.array([part["hours"] for _, _, part in rows])
        _log_bars(hours, places, amounts, colours, [_hours(amount) for amount in amounts], theme)
        hours.set_yticks(places, names, parse_math=False)
        for name in hours.get_yticklabels():
            name.set_color(theme.ink)
        hours.set_ylim(places[-1] + 0.5, places[0] - 0.5)
        hours.set_title("Hours by source and split")
        hours.set_xlabel("hours, logarithmic")
        _lengths(seconds, places, [part for _, _, part in rows], colours, theme)
        return style.to_png(figure)


def found_figure(stats: dict, theme: Theme) -> bytes:
    """Shares of what was found in each source that were built, excluded and quarantined, with their counts."""
    fates = {"built": theme.accent, "excluded": theme.muted, "quarantined": theme.warm}
    names = [*stats["by_source"], "all sources"]
    parts = [{**source, "built": source["files"]} for source in stats["by_source"].values()]
    counts = np.array([[part[fate] for fate in fates] for part in (*parts, stats)])
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    places = np.arange(len(names)) + 0.4 * (np.arange(len(names)) == len(names) - 1)
    with style.styled(theme):
        figure = style.new_figure(5.0, _ROW_IN * (places[-1] + 1))
        ax = figure.add_axes((0, 0, 1, 1))
        starts = np.cumsum(shares, axis=1) - shares
        for at, colour in enumerate(fates.values()):
            ax.barh(places, shares[:, at], left=starts[:, at], height=0.62, color=colour)
        ax.set_yticks(places, [style.short(name, 20, 1) for name in names], parse_math=False)
        for name in ax.get_yticklabels():
            name.set_color(theme.ink)
        ax.get_yticklabels()[-1].set_fontweight("bold")
        ax.set_xlim(0, 100)
        ax.set_ylim(places[-1] + 0.5, -0.5)
        ax.set_xticks([0, 25, 50, 75, 100], ["0", "25", "50", "75", "100 %"])
        ax.spines[:].set_visible(False)
        right = {"transform": ax.get_yaxis_transform(), "ha": "right", "va": "center"}
        for column, (fate, colour) in enumerate(fates.items()):
            # Heads of the columns are the legend.
            x = 1.2 + 0.19 * column
            ax.text(x, -1.1, fate, color=colour, fontweight="bold", **right)
            for place, count in zip(places, counts[:, column], strict=True):
                shown = {"s": f"{count:,}", "color": theme.ink} if count else {"s": MISSING, "color": theme.muted}
                ax.text(x, place, **shown, **right)
        ax.set_title("What became of everything found", pad=20)
        return style.to_png(figure)


def _count_table(ax: Axes, counts: np.ndarray, theme: Theme) -> None:
    """Cells written with their counts and coloured by the logarithm of them; 0 is left empty."""
    colours, scale = style.sequential(theme), LogNorm(0.5, max(counts.max(), 2))
    ax.imshow(np.ma.masked_equal(counts, 0), cmap=colours, norm=scale, aspect="auto", interpolation="nearest")
    for row, column in zip(*np.nonzero(counts), strict=True):
        over = style.text_over(colours(float(scale(counts[row, column]))))
        ax.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", fontsize=8, color=over)
    ax.set_xticks(np.arange(counts.shape[1] + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(counts.shape[0] + 1) - 0.5, minor=True)
    ax.grid(which="minor", color=theme.paper, linewidth=1.5)
    ax.spines[:].set_visible(False)


def _log_bars(
    ax: Axes, places: np.ndarray, values: np.ndarray, colours: list, written: list[str], theme: Theme
) -> None:
    """Bars to the right on a logarithmic axis that begins at half of the smallest, each with its value written."""
    low, high = values.min() / 2, values.max()
    ax.set_xscale("log")
    ax.barh(places, values - low, left=low, height=0.62, color=colours)
    for place, value, text in zip(places, values, written, strict=True):
        _beside(ax, text, value, place, theme)
    # Room for the number of the longest bar.
    ax.set_xlim(low, high * (high / low) ** 0.3)
    ax.xaxis.set_major_locator(LogLocator(numticks=6))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
    ax.spines[:].set_visible(False)
    ax.grid(axis="x", linewidth=0.8)


def _lengths(ax: Axes, places: np.ndarray, parts: list[dict], colours: list, theme: Theme) -> None:
    """The mean duration as a dot and the longest as the end of a line."""
    means, longest = (np.array([part[key] for part in parts]) for key in ("mean_s", "max_s"))
    ax.hlines(places, means, longest, colors=colours, linewidth=1.4)
    ax.scatter(means, places, color=colours, s=26, zorder=3)
    ax.scatter(longest, places, color=colours, s=40, marker="|")
    for place, mean, most in zip(places, means, longest, strict=True):
        _beside(ax, f"{mean:.1f} s, max {most:.0f} s", most, place, theme)
    ax.set_xlim(0, 1.45 * longest.max())
    ax.spines[:].set_visible(False)
    ax.grid(axis="x", linewidth=0.8)
    ax.set_title("Duration: mean (dot) and longest (end of line)")
    ax.set_xlabel("seconds")


def _beside(ax: Axes, text: str, x: float, y: float, theme: Theme) -> None:
    over_lines = [withStroke(linewidth=3, foreground=theme.paper)]
    ax.annotate(text, (x, y), (5, 0), textcoords="offset points", va="center", fontsize=8, path_effects=over_lines)


def _hours(value: float) -> str:
    if value >= 0.1:
        return f"{value:,.0f} h" if value >= 10 else f"{value:.1f} h"
    return duration(3600 * value)
