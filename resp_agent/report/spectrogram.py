"""A recording to look at and to listen to: its log-mel spectrogram with events marked, and an excerpt as audio."""

from dataclasses import dataclass
from functools import lru_cache

import librosa
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from resp_agent.corpus.schema import SAMPLE_RATE_HZ, Event, Recording, encode_flac
from resp_agent.report import style
from resp_agent.report.style import Theme

LONGEST_S = 10.0
"""Longest excerpt that the page holds."""
SHORTEST_S = 3.0
"""Shortest excerpt cut from a longer recording."""
RANGE_DB = 70.0
"""What the colours cover, down from the loudest point of the excerpt."""
LOW_HZ, HIGH_HZ = 40.0, 8000.0

_BANDS = 96
_FFT = 2048
_WINDOW = 640
_HOP = 160
DECIBELS = colormaps["magma"].resampled(round(RANGE_DB))
"""One colour a decibel."""
TICKS_HZ = (100, 500, 1000, 2000, 4000, 8000)
TICKS = ("100", "500", "1k", "2k", "4k", "8k")
DRAWN_S = 60.0
"""Of a longer recording, so many seconds around the moment that counts are drawn over a curve."""


@dataclass(frozen=True)
class Excerpt:
    """A stretch of a recording."""

    waveform: np.ndarray
    """(samples,) at 16 kHz."""
    start_s: float
    """Where it starts in the recording."""
    whole_s: float
    """How long the recording is."""
    events: tuple[Event, ...]
    """Events inside, in seconds of the excerpt."""

    @property
    def duration_s(self) -> float:
        """How long the excerpt is."""
        return len(self.waveform) / SAMPLE_RATE_HZ

    @property
    def level_db(self) -> float:
        """Root mean square level, in dB below full scale; -120 at least."""
        power = float(np.square(self.waveform, dtype=np.float64).sum()) / max(len(self.waveform), 1)
        return 10 * float(np.log10(max(power, 1e-12)))

    @property
    def cut(self) -> bool:
        """Whether there is more of the recording than this."""
        return self.whole_s - self.duration_s > 0.05


def excerpt(recording: Recording, longest_s: float) -> Excerpt:
    """At most `longest_s` seconds of a recording, taken where most of its events are (its start, if it has none)."""
    length = min(round(longest_s * SAMPLE_RATE_HZ), len(recording.waveform))
    length_s = length / SAMPLE_RATE_HZ
    latest_s = recording.duration_s - length_s
    starts = [0.0, *(float(np.clip(event.start_s - 0.1, 0, latest_s)) for event in recording.events)]
    start_s = max(starts, key=lambda start: (round(_covered(recording.events, start, start + length_s), 6), -start))
    first = round(start_s * SAMPLE_RATE_HZ)
    inside = tuple(
        Event(max(event.start_s - start_s, 0.0), min(event.end_s - start_s, length_s), event.kind)
        for event in recording.events
        if event.end_s > start_s and event.start_s < start_s + length_s
    )
    return Excerpt(recording.waveform[first : first + length], start_s, recording.duration_s, inside)


def _covered(events: tuple[Event, ...], start_s: float, end_s: float) -> float:
    return sum(max(min(event.end_s, end_s) - max(event.start_s, start_s), 0.0) for event in events)


def audio(part: Excerpt) -> bytes:
    """The excerpt as 16-bit FLAC."""
    return encode_flac(part.waveform)


@lru_cache(maxsize=1)
def _filters() -> np.ndarray:
    return librosa.filters.mel(sr=SAMPLE_RATE_HZ, n_fft=_FFT, n_mels=_BANDS, fmin=LOW_HZ, fmax=HIGH_HZ)


def mel_db(waveform: np.ndarray) -> np.ndarray:
    """(M, T) mel power every 10 ms, in dB below its loudest point, at least -`RANGE_DB`.

    96 bands from 40 to 8000 Hz, 40 ms Hann window. Silence is -`RANGE_DB` everywhere.
    """
    padded = np.pad(waveform.astype(np.float64), (_WINDOW // 2, _WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP][: max(len(waveform) // _HOP, 1)]
    window = np.hanning(_WINDOW + 1)[:-1]
    power = np.abs(np.fft.rfft(frames * window, _FFT, axis=1)) ** 2
    mel = _filters() @ power.T
    if mel.max() <= 1e-12:
        return np.full(mel.shape, -RANGE_DB)
    return np.maximum(10 * np.log10(np.maximum(mel / mel.max(), 1e-12)), -RANGE_DB)


def spectrogram_figure(part: Excerpt, span_s: float, theme: Theme) -> bytes:
    """The excerpt's spectrogram on an axis of `span_s` seconds, its events as bars along the top edge.

    All spectrograms of a page have the same axes in Hz and the same colours in dB.
    """
    order = {kind: at for at, kind in enumerate(style.EVENT_COLOURS)}
    kinds = sorted({event.kind for event in part.events}, key=lambda kind: (order.get(kind, len(order)), kind))
    with style.styled(theme):
        figure = style.new_figure(4.6, 2.55)
        ax = figure.add_axes((0.105, 0.15, 0.775, 0.74))
        image = _show(ax, part.waveform, 0.0, max(part.duration_s, 0.01))
        ax.set_facecolor(theme.faint)
        ax.set_xlim(0, span_s)
        ax.set_xlabel("seconds", labelpad=1)
        ax.text(-0.02, 1.045, "Hz", transform=ax.transAxes, ha="right", color=theme.muted)
        ax.spines[:].set_visible(False)
        ax.tick_params(pad=3, labelsize=7.5)
        _mark_events(ax, part, kinds, theme)
        bar = figure.colorbar(image, cax=figure.add_axes((0.895, 0.15, 0.016, 0.74)), ticks=(-60, -40, -20, 0))
        bar.ax.tick_params(labelsize=7.5, pad=2)
        bar.outline.set_visible(False)
        bar.ax.set_yticklabels(["−60", "−40", "−20", "0"])
        bar.ax.text(0.0, 1.045, "dB", transform=bar.ax.transAxes, color=theme.muted)
        return style.to_png(figure, crop=False)


def over_a_curve(
    waveform: np.ndarray, peak_s: float, title: str, size: tuple[float, float], heights: tuple[float, float], gap: float
) -> tuple[Figure, Axes, Axes]:
    """A recording's spectrogram, under it empty axes on the same seconds: figure, upper and lower axes.

    Args:
        waveform: (samples,) at 16 kHz; what is drawn of it, `drawn` says.
        peak_s: the moment that counts.
        size: inches of width that each second adds, and of height.
        heights: of the two parts, relative.
        gap: between them, as a share of their mean height.
    """
    start_s, end_s = drawn(len(waveform) / SAMPLE_RATE_HZ, peak_s)
    figure = style.new_figure(min(5.0 + size[0] * (end_s - start_s), 14.0), size[1])
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=heights, gridspec_kw={"hspace": gap})
    _show(upper, waveform[round(start_s * SAMPLE_RATE_HZ) : round(end_s * SAMPLE_RATE_HZ)], start_s, end_s)
    upper.set_ylabel("Hz")
    upper.set_title(title, parse_math=False)
    lower.set_xlim(start_s, end_s)
    for ax in (upper, lower):
        ax.spines[:].set_visible(False)
    return figure, upper, lower


def drawn(duration_s: float, peak_s: float) -> tuple[float, float]:
    """(start_s, end_s) of what is drawn over a curve: everything, or `DRAWN_S` around the moment that counts."""
    if duration_s <= DRAWN_S:
        return 0.0, duration_s
    start = min(max(peak_s - DRAWN_S / 2, 0.0), duration_s - DRAWN_S)
    return start, start + DRAWN_S


def _show(ax: Axes, waveform: np.ndarray, start_s: float, end_s: float) -> AxesImage:
    low, high = librosa.hz_to_mel(LOW_HZ), librosa.hz_to_mel(HIGH_HZ)
    image = ax.imshow(
        mel_db(waveform), cmap=DECIBELS, vmin=-RANGE_DB, vmax=0, origin="lower", aspect="auto",
        interpolation="nearest", extent=(start_s, end_s, low, high),
    )  # fmt: skip
    ax.set_ylim(low, high)
    ax.set_yticks(librosa.hz_to_mel(np.array(TICKS_HZ)), TICKS)
    return image


def _mark_events(ax, part: Excerpt, kinds: list[str], theme: Theme) -> None:
    """A row of bars for each kind under the top edge, and above it the kinds' names in the rows' order."""
    height = 0.035
    across = ax.get_xaxis_transform()
    for row, kind in enumerate(kinds):
        top = 1 - row * (height + 0.012)
        for event in part.events:
            if event.kind == kind:
                width_s = max(event.end_s - event.start_s, 0.006 * ax.get_xlim()[1])
                ax.add_patch(
                    Rectangle(
                        (event.start_s, top - height),
                        width_s,
                        height,
                        transform=across,
                        facecolor=style.EVENT_COLOURS.get(kind, theme.muted),
                        edgecolor="#ffffff",
                        linewidth=0.4,
                    )
                )
    at = 0.0
    for kind in kinds[:3]:
        count = sum(event.kind == kind for event in part.events)
        text = f"{kind} ×{count}"
        ax.add_patch(
            Rectangle(
                (at, 1.055),
                0.016,
                0.04,
                transform=ax.transAxes,
                facecolor=style.EVENT_COLOURS.get(kind, theme.muted),
                linewidth=0,
                clip_on=False,
            )
        )
        ax.text(at + 0.024, 1.045, text, transform=ax.transAxes, color=theme.ink, fontsize=7.5)
        at += 0.05 + 0.0178 * len(text)
