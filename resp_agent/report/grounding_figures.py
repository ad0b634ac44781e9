"""Where a phrase is heard, over the spectrogram with the true events; and hits of the pointing game beside chance."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from resp_agent.corpus.schema import Event
from resp_agent.diagnoser.grounding import Relevance
from resp_agent.metrics.pointing import Pointed
from resp_agent.report import style
from resp_agent.report.spectrogram import over_a_curve
from resp_agent.report.style import Theme


def grounding_figure(
    waveform: np.ndarray, relevance: Relevance, events: Sequence[Event] | None, title: str, theme: Theme
) -> bytes:
    """A PNG of (samples,) audio at 16 kHz, the relevance of its moments, and its events where they are known.

    Args:
        events: those that the phrase is true of come as bands through both parts; None: nobody marked any.
    """
    with style.styled(theme):
        figure, upper, lower = over_a_curve(waveform, relevance.peak_s, title, (0.3, 3.6), (2.2, 1), 0.14)
        lower.step(relevance.seconds, relevance.values, where="mid", color=theme.accent, linewidth=1.6)
        peak = relevance.log_odds.argmax()
        lower.plot(relevance.seconds[peak], relevance.values[peak], "v", color=theme.warm, markersize=7, clip_on=False)
        lower.set_ylim(0, 1.05)
        lower.set_yticks([0, 0.5, 1])
        lower.set_ylabel("relevance")
        lower.set_xlabel("seconds", loc="left")
        lower.grid(axis="y", linewidth=0.8)
        _mark(upper, lower, events or (), theme)
        _legend(lower, events, theme)
        return style.to_png(figure)


def pointing_figure(scores: Sequence[tuple[str, Pointed, Pointed | None]], title: str, theme: Theme) -> bytes:
    """A PNG of hit shares: for each sound the grounder with its 95 % interval, chance, and the diagnoser's gradient."""
    with style.styled(theme):
        figure = style.new_figure(7.2, 1.3 + 0.42 * len(scores))
        ax = figure.subplots()
        for row, (_, grounder, diagnoser) in enumerate(scores):
            low, high = grounder.interval
            ax.barh(row, grounder.hit, height=0.56, color=theme.accent)
            ax.plot([low, high], [row, row], color=theme.muted, linewidth=3, solid_capstyle="butt")
            ax.plot([grounder.chance] * 2, [row - 0.38, row + 0.38], color=theme.warm, linewidth=2.2)
            if diagnoser is not None:
                ax.plot(diagnoser.hit, row, "D", color=theme.paper, markeredgecolor=theme.ink, markersize=5)
            ax.text(1.02, row, f"{grounder.hit:.2f}", va="center", color=theme.ink)
        style.set_tick_names(ax, "y", [f"{name} ({grounder.recordings})" for name, grounder, _ in scores])
        ax.set_ylim(len(scores) - 0.4, -0.6)
        ax.set_xlim(0, 1.09)
        ax.set_xlabel("share of recordings whose most relevant moment is an event")
        ax.set_title(title, parse_math=False)
        ax.grid(axis="x", linewidth=0.8)
        ax.spines[:].set_visible(False)
        keys = [
            Patch(color=theme.accent, label="grounder"),
            Line2D([], [], color=theme.muted, linewidth=3, label="95 % interval"),
            Line2D([], [], color=theme.warm, linewidth=2.2, label="chance"),
        ]
        if any(diagnoser for *_, diagnoser in scores):
            gradient = {"marker": "D", "markerfacecolor": theme.paper, "markeredgecolor": theme.ink, "linestyle": ""}
            keys.append(Line2D([], [], **gradient, label="diagnoser's gradient, no event times"))
        below = (0.4, -0.62 / (0.77 * figure.get_figheight()))
        ax.legend(handles=keys, loc="upper center", bbox_to_anchor=below, ncols=4, frameon=False)
        return style.to_png(figure)


def _mark(upper: Axes, lower: Axes, events: Sequence[Event], theme: Theme) -> None:
    for event in events:
        colour = style.EVENT_COLOURS.get(event.kind, theme.muted)
        # A bar of at least a few pixels along the top edge, and a band where the curve should be high.
        upper.axvspan(event.start_s, event.end_s, ymin=0.95, color=colour, linewidth=1.5)
        for edge_s in (event.start_s, event.end_s):
            upper.axvline(edge_s, color=colour, linewidth=0.7, alpha=0.8)
        lower.axvspan(event.start_s, event.end_s, color=colour, alpha=0.3, linewidth=0)


def _legend(ax: Axes, events: Sequence[Event] | None, theme: Theme) -> None:
    if events is None:
        return
    kinds = sorted({event.kind for event in events})
    keys = [Patch(color=style.EVENT_COLOURS.get(kind, theme.muted), label=f"marked: {kind}") for kind in kinds]
    keys = keys or [Patch(color=theme.faint, label="marked: none")]
    ax.legend(handles=keys, loc="upper right", bbox_to_anchor=(1.0, -0.18), ncols=3, frameon=False, borderaxespad=0)
