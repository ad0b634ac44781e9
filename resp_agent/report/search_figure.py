"""A search for a policy as two figures: what each trial came to, and which settings its score depends on."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from resp_agent.report import style
from resp_agent.report.style import Theme

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8f98")
"""Of kinds of policies (after Okabe and Ito 2008)."""
_SHOWN = 0.005
"""Least share of the variance that is drawn."""


@dataclass(frozen=True)
class Tried:
    """A trial as it is drawn."""

    kind: str
    """Of its policy."""
    score: float
    """After its last round."""
    whole: bool
    """Whether it was played to the end."""


def history_figure(trials: Sequence[Tried], caption: str, theme: Theme) -> bytes:
    """Scores of trials in their order, and the best one so far among those that were played to the end; PNG."""
    with style.styled(theme):
        figure = style.new_figure(8.0, 3.0)
        ax = figure.subplots()
        figure.subplots_adjust(0, 0, 1, 1)
        kinds = list(dict.fromkeys(trial.kind for trial in trials))
        for at, kind in enumerate(kinds):
            colour = _COLOURS[at % len(_COLOURS)]
            ax.plot([], [], "o", ms=7, color=colour, label=kind)
            for whole in (True, False):
                places = [n for n, one in enumerate(trials) if one.kind == kind and one.whole == whole]
                scores = [trials[place].score for place in places]
                fill = colour if whole else "none"
                ax.plot(np.array(places) + 1, scores, "o", ms=7, mew=1.5, mec=colour, mfc=fill)
        best = np.maximum.accumulate([one.score if one.whole else -np.inf for one in trials])
        known = np.isfinite(best)
        ax.step(np.arange(1, len(trials) + 1)[known], best[known], where="post", color=theme.muted, linewidth=1.2)
        ax.grid(axis="y", color=theme.faint, linewidth=0.8)
        ax.spines[:].set_visible(False)
        ax.set_xlabel("trial (open: stopped early; line: the best so far)")
        ax.set_ylabel("validation macro-F1")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)
        ax.set_title("What each trial came to", loc="left", fontweight="bold")
        _caption(figure, caption, 3.0, theme)
        return style.to_png(figure)


def importance_figure(importances: Mapping[str, float], caption: str, theme: Theme) -> bytes:
    """A bar for each setting that matters, most important first; PNG."""
    with style.styled(theme):
        names = sorted(
            (name for name, value in importances.items() if value >= _SHOWN), key=importances.get, reverse=True
        )
        height = 0.32 * max(len(names), 2)
        figure = style.new_figure(6.0, height)
        ax = figure.subplots()
        figure.subplots_adjust(0, 0, 1, 1)
        values = [importances[name] for name in names]
        ax.barh(range(len(names)), values, color=theme.accent, height=0.6)
        for place, value in enumerate(values):
            ax.annotate(f"{value:.0%}", (value, place), (4, 0), textcoords="offset points", va="center", fontsize=8)
        ax.set_ylim(len(names) - 0.4, -0.6)
        ax.set_xlim(0, max([*values, 0.01]) * 1.12)
        ax.spines[:].set_visible(False)
        ax.set_xticks([])
        style.set_tick_names(ax, "y", [name.replace("_", " ") for name in names])
        ax.set_title("What the score depends on", loc="left", fontweight="bold")
        _caption(figure, caption, height, theme)
        return style.to_png(figure)


def _caption(figure, caption: str, height: float, theme: Theme) -> None:
    wrapped = textwrap.fill(caption, 110, break_on_hyphens=False)
    figure.text(0, -0.5 / height, wrapped, ha="left", va="top", color=theme.muted, parse_math=False)
