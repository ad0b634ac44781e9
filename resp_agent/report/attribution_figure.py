"""A recording's spectrogram, and under it what each moment did for the diagnosis."""

import numpy as np

from resp_agent.diagnoser.attribution import Attribution
from resp_agent.report import style
from resp_agent.report.spectrogram import over_a_curve
from resp_agent.report.style import Theme


def attribution_figure(waveform: np.ndarray, attribution: Attribution, title: str, theme: Theme) -> bytes:
    """A PNG of (samples,) audio at 16 kHz and its attribution, on one axis of seconds."""
    peak_s = float(attribution.seconds[attribution.values.argmax()])
    with style.styled(theme):
        figure, _, lower = over_a_curve(waveform, peak_s, title, (0.2, 3.4), (2.4, 1), 0.12)
        edges, values = attribution.seconds, attribution.relevance
        colours = [theme.accent if value > 0 else theme.warm for value in values]
        lower.bar(edges[:-1], values, np.diff(edges), align="edge", color=colours)
        lower.axhline(0, color=theme.muted, linewidth=0.8)
        lower.set_ylim(-1.05, 1.05)
        lower.set_yticks([-1, 0, 1], ["against", "0", "for it"])
        lower.set_xlabel("seconds")
        return style.to_png(figure)
