"""A recording's spectrogram, and under it what each moment did for the diagnosis."""

import librosa
import numpy as np

from resp_agent.corpus.schema import SAMPLE_RATE_HZ
from resp_agent.diagnoser.attribution import Attribution
from resp_agent.report import style
from resp_agent.report.spectrogram import DECIBELS, HIGH_HZ, LOW_HZ, RANGE_DB, TICKS_HZ, mel_db
from resp_agent.report.style import Theme

LONGEST_S = 60.0
"""Of a longer recording, so many seconds around the moment that speaks most are drawn."""


def attribution_figure(waveform: np.ndarray, attribution: Attribution, title: str, theme: Theme) -> bytes:
    """A PNG of (samples,) audio at 16 kHz and its attribution, on one axis of seconds."""
    start_s, end_s = stretch(len(waveform) / SAMPLE_RATE_HZ, attribution)
    shown = waveform[round(start_s * SAMPLE_RATE_HZ) : round(end_s * SAMPLE_RATE_HZ)]
    low, high = librosa.hz_to_mel(LOW_HZ), librosa.hz_to_mel(HIGH_HZ)
    with style.styled(theme):
        figure = style.new_figure(min(5.0 + 0.2 * (end_s - start_s), 14.0), 3.4)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2.4, 1), gridspec_kw={"hspace": 0.12})
        upper.imshow(
            mel_db(shown), cmap=DECIBELS, vmin=-RANGE_DB, vmax=0, origin="lower", aspect="auto",
            interpolation="nearest", extent=(start_s, end_s, low, high),
        )  # fmt: skip
        upper.set_yticks(librosa.hz_to_mel(np.array(TICKS_HZ)), ["100", "500", "1k", "2k", "4k", "8k"])
        upper.set_ylabel("Hz")
        upper.set_title(title, parse_math=False)
        edges, values = attribution.seconds, attribution.relevance
        colours = [theme.accent if value > 0 else theme.warm for value in values]
        lower.bar(edges[:-1], values, np.diff(edges), align="edge", color=colours)
        lower.axhline(0, color=theme.muted, linewidth=0.8)
        lower.set_xlim(start_s, end_s)
        lower.set_ylim(-1.05, 1.05)
        lower.set_yticks([-1, 0, 1], ["against", "0", "for it"])
        lower.set_xlabel("seconds")
        for ax in (upper, lower):
            ax.spines[:].set_visible(False)
        return style.to_png(figure)


def stretch(duration_s: float, attribution: Attribution) -> tuple[float, float]:
    """(start_s, end_s) of what is drawn: everything, or `LONGEST_S` around the moment that speaks most."""
    if duration_s <= LONGEST_S:
        return 0.0, duration_s
    middle = float(attribution.seconds[attribution.values.argmax()])
    start = min(max(middle - LONGEST_S / 2, 0.0), duration_s - LONGEST_S)
    return start, start + LONGEST_S
