"""The figures of a run: scores and rewards by round, F1 by label, where the budget went, confusion."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from resp_agent.curriculum.assessment import Assessment
from resp_agent.report import style
from resp_agent.report.record import RunRecord
from resp_agent.report.style import Theme
from resp_agent.report.words import change

SIDE_BY_SIDE = 10
"""Labels up to which two confusions fit beside each other."""
_MOST_NUMBERED = 16
"""Rounds beyond which only the first, best and last point of a line carry their number."""


def rounds_figure(record: RunRecord, theme: Theme) -> bytes:
    """Validation macro-F1 by round as a line, and the reward of each round as a bar below it."""
    rounds = np.array([line["round"] for line in record.rounds], float)
    scores = _finite(line.get("valid_macro_f1") for line in record.rounds)
    rewards = _finite(line.get("reward") for line in record.rounds[1:])
    with style.styled(theme):
        figure = style.new_figure(11.0, 4.4)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1.9, 1), gridspec_kw={"hspace": 0.42})
        _draw_scores(upper, rounds, scores, theme)
        _draw_rewards(lower, rounds[1:], rewards, theme)
        clips = np.cumsum([len(line.get("clip_ids") or ()) for line in record.rounds])
        shown = rounds if len(rounds) <= _MOST_NUMBERED else rounds[:: math.ceil(len(rounds) / _MOST_NUMBERED)]
        totals = [int(clips[np.flatnonzero(rounds == at)[0]]) for at in shown]
        lower.set_xticks(shown, [f"{int(at)}\n{total}" for at, total in zip(shown, totals, strict=True)])
        lower.text(
            -0.012, -0.075, "round\nclips so far", transform=lower.transAxes, ha="right", va="top", color=theme.muted
        )
        lower.set_xlim(rounds[0] - 0.5, rounds[-1] + 0.5)
        return style.to_png(figure)


def label_figure(record: RunRecord, theme: Theme) -> bytes:
    """F1 of every label by round on the validation split, and their mean in the last row."""
    held = record.valid[0].held
    f1 = np.stack([assessment.by_label["f1"] for assessment in record.valid], axis=1)
    values = np.vstack(
        [np.where(held[:, None], f1, np.nan), f1[held].mean(axis=0, keepdims=True) if held.any() else f1[:1] * np.nan]
    )
    support = np.bincount(record.valid[0].truth, minlength=len(record.labels))
    names = [*(f"{style.short(name, 36, 1)} ({n})" for name, n in zip(record.labels, support, strict=True)), "macro-F1"]
    columns = values.shape[1]
    with style.styled(theme):
        figure = style.new_figure(_width_in(columns, 0.78), 0.3 * len(names))
        ax = figure.add_axes((0, 0, 1, 1))
        _heat_map(ax, values, theme, 1.0, style.two_digits if columns <= 20 else None)
        style.set_tick_names(ax, "y", names)
        _grey_out(ax, [*held, True], theme)
        ax.get_yticklabels()[-1].set(fontweight="bold", color=theme.ink)
        ax.axhline(len(names) - 1.5, color=theme.paper, linewidth=5)
        ticks = range(0, columns, math.ceil(columns / _MOST_NUMBERED))
        ax.set_xticks(list(ticks), [str(record.rounds[at]["round"]) for at in ticks])
        ax.set_xlabel("round")
        ax.set_title("F1 by label and round (validation recordings in brackets)")
        return style.to_png(figure)


def budget_figure(record: RunRecord, theme: Theme) -> bytes:
    """Clips asked for by label and style, with sums; a dot where training holds no real recording of the two."""
    counts = np.zeros((len(record.labels), len(record.styles)))
    for (label, name), count in record.request_counts().items():
        counts[record.labels.index(label), record.styles.index(name)] = count
    heard = np.array(record.valid[0].train_counts).reshape(counts.shape) if record.valid[0].train_counts else None
    with style.styled(theme):
        figure = style.new_figure(_width_in(counts.shape[1], 1.3), 0.34 * counts.shape[0])
        ax = figure.add_axes((0, 0, 1, 1))
        _heat_map(ax, counts, theme, max(counts.max(), 1), lambda value: f"{value:.0f}" if value else "")
        style.set_tick_names(ax, "y", [style.short(name, 36, 1) for name in record.labels])
        for name, total in zip(ax.get_yticklabels(), counts.sum(axis=1), strict=True):
            name.set_color(theme.ink if total else theme.muted)
        crowded = counts.shape[1] > 5
        slanted = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if crowded else {}
        style.set_tick_names(ax, "x", [style.short(name, 18, 1 if crowded else 2) for name in record.styles], **slanted)
        for row, total in enumerate(counts.sum(axis=1)):
            ax.text(
                counts.shape[1] - 0.3,
                row,
                f"{total:.0f}",
                va="center",
                fontweight="bold" if total else "normal",
                color=theme.ink if total else theme.muted,
            )
        for column, total in enumerate(counts.sum(axis=0)):
            ax.text(
                column,
                -0.72,
                f"{total:.0f}",
                ha="center",
                va="center",
                fontweight="bold" if total else "normal",
                color=theme.ink if total else theme.muted,
            )
        if heard is not None:
            rows, columns = np.nonzero(heard == 0)
            colours = style.sequential(theme)(counts / max(counts.max(), 1))
            over = [style.text_over(colours[row, column]) for row, column in zip(rows, columns, strict=True)]
            ax.scatter(columns + 0.41, rows - 0.27, s=9, color=over, linewidths=0)
        ax.set_title("Clips asked for, by label and style", pad=24)
        return style.to_png(figure)


def confusion_figure(assessment: Assessment, title: str, theme: Theme) -> bytes:
    """Confusion of one assessment: counts as numbers, shares of the true label as colours."""
    counts = assessment.confusion
    held = assessment.held
    shares = np.where(held[:, None], counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), np.nan)
    size = len(assessment.labels)
    names = [
        style.short(name, 22 if size <= SIDE_BY_SIDE else 36, 2 if size <= SIDE_BY_SIDE else 1)
        for name in assessment.labels
    ]
    with style.styled(theme):
        cell = 0.4 if size <= SIDE_BY_SIDE else 0.36
        figure = style.new_figure(cell * max(size, 3), cell * max(size, 3))
        ax = figure.add_axes((0, 0, 1, 1))
        _heat_map(ax, shares, theme, 1.0, None)
        colours = style.sequential(theme)
        for row, column in zip(*np.nonzero(counts), strict=True):
            ax.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=8,
                    color=style.text_over(colours(float(shares[row, column]))))  # fmt: skip
        for at in range(size):
            ax.add_patch(Rectangle((at - 0.5, at - 0.5), 1, 1, fill=False, edgecolor=theme.muted, linewidth=0.8))
        style.set_tick_names(ax, "y", names)
        style.set_tick_names(ax, "x", names, rotation=90, va="top")
        _grey_out(ax, held, theme)
        ax.set_ylabel("true label")
        ax.set_xlabel("diagnosed as")
        ax.set_title(title, parse_math=False)
        return style.to_png(figure)


def _draw_scores(ax: Axes, rounds: np.ndarray, scores: np.ndarray, theme: Theme) -> None:
    ax.axhline(scores[0], color=theme.muted, linewidth=0.8, linestyle=(0, (4, 3)))
    ax.plot(
        rounds,
        scores,
        color=theme.accent,
        linewidth=2,
        marker="o",
        markersize=5,
        markeredgecolor=theme.paper,
        clip_on=False,
    )
    numbered = set(range(len(rounds)))
    if len(rounds) > _MOST_NUMBERED:
        numbered = {0, len(rounds) - 1} | ({int(np.nanargmax(scores))} if np.isfinite(scores).any() else set())
    for at in numbered:
        if np.isfinite(scores[at]):
            weight = "bold" if at in (0, len(rounds) - 1) else "normal"
            ax.annotate(f"{scores[at]:.3f}", (rounds[at], scores[at]), (0, 8), textcoords="offset points", ha="center",
                        fontweight=weight, path_effects=[withStroke(linewidth=3, foreground=theme.paper)])  # fmt: skip
    low, high = (np.nanmin(scores), np.nanmax(scores)) if np.isfinite(scores).any() else (0.0, 1.0)
    margin = max(0.25 * (high - low), 0.02)
    ax.set_ylim(max(low - margin, 0), high + 1.6 * margin)
    _quiet(ax)
    ax.set_title("Macro-F1 on the validation split")


def _draw_rewards(ax: Axes, rounds: np.ndarray, rewards: np.ndarray, theme: Theme) -> None:
    ax.axhline(0, color=theme.muted, linewidth=0.8)
    ax.bar(
        rounds,
        np.nan_to_num(rewards),
        width=0.5 * min(1, (len(rounds) + 1) / 6),
        color=[theme.accent if value >= 0 else theme.warm for value in rewards],
    )
    reach = max(float(np.nanmax(np.abs(rewards))) if np.isfinite(rewards).any() else 0.0, 0.01)
    if len(rounds) <= _MOST_NUMBERED:
        for at, value in zip(rounds, rewards, strict=True):
            if np.isfinite(value):
                away, side = (4, "bottom") if value >= 0 else (-4, "top")
                ax.annotate(change(value), (at, value), (0, away), textcoords="offset points", ha="center", va=side)
    ax.set_ylim(-reach * (1.7 if (rewards < 0).any() else 0.15), reach * 1.7)
    _quiet(ax)
    ax.set_title("Reward: gain in that score")


def _width_in(columns: int, cell_in: float) -> float:
    return min(max(cell_in * columns, 2.0), 7.6)


def _quiet(ax: Axes) -> None:
    ax.grid(axis="y", linewidth=0.8)
    ax.spines[:].set_visible(False)
    ax.locator_params(axis="y", nbins=4)


def _heat_map(ax: Axes, values: np.ndarray, theme: Theme, top: float, text) -> None:
    """Cells coloured from 0 to `top`, written with `text(value)`; NaN is hatched."""
    colours = style.sequential(theme)
    ax.imshow(np.ma.masked_invalid(values), cmap=colours, vmin=0, vmax=top, aspect="auto", interpolation="nearest")
    rows, columns = values.shape
    for row, column in zip(*np.nonzero(np.isnan(values)), strict=True):
        ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, hatch="////", linewidth=0))
    if text is not None:
        for row, column in zip(*np.nonzero(np.isfinite(values)), strict=True):
            value = values[row, column]
            ax.text(
                column,
                row,
                text(value),
                ha="center",
                va="center",
                fontsize=8,
                color=style.text_over(colours(float(value / top))),
            )
    ax.set_xticks(np.arange(columns + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
    ax.grid(which="minor", color=theme.paper, linewidth=1.5)
    ax.spines[:].set_visible(False)


def _grey_out(ax: Axes, held, theme: Theme) -> None:
    for name, here in zip(ax.get_yticklabels(), held, strict=True):
        name.set(color=theme.ink if here else theme.muted, fontstyle="normal" if here else "italic")


def _finite(values) -> np.ndarray:
    numbers = np.array([math.nan if value is None else float(value) for value in values])
    return np.where(np.isfinite(numbers), numbers, np.nan)
