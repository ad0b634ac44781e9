"""What was synthesized at a glance: spectrograms of real recordings and of clips, label by label and style by style."""

from collections.abc import Iterable, Sequence

import librosa
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from resp_agent.corpus.schema import Recording
from resp_agent.report import style
from resp_agent.report.spectrogram import DECIBELS, HIGH_HZ, LOW_HZ, RANGE_DB, SHORTEST_S, Excerpt, excerpt, mel_db
from resp_agent.report.style import Theme

MOST_LABELS, MOST_STYLES = 8, 6
"""Rows and columns; smaller pictures show nothing."""
_TICKS_HZ, _TICKS = (100, 1000, 4000), ("100", "1k", "4k")
_MARK = 0.055
"""Height of the marks of events, as a share of a picture."""


def by_cell(recordings: Iterable[Recording]) -> dict[tuple[str, str], Recording]:
    """(label, style) -> the first recording of it."""
    cells: dict[tuple[str, str], Recording] = {}
    for recording in recordings:
        cells.setdefault((recording.label, recording.style), recording)
    return cells


def grid_figure(
    real: Sequence[Recording],
    clips: Sequence[Recording],
    labels: Sequence[str],
    styles: Sequence[str],
    kind: str,
    theme: Theme,
    made: str = "synthetic",
) -> bytes:
    """A row for each label, a column for each style; in each cell a real recording over a clip, events marked.

    All pictures have the same axes: three seconds, 40 to 8000 Hz, dB below their loudest point.

    Args:
        labels: rows in their order, at most `MOST_LABELS` are drawn.
        styles: columns likewise, at most `MOST_STYLES`.
        kind: what the real ones are called.
        made: what the others are called.
    """
    labels, styles = labels[:MOST_LABELS], styles[:MOST_STYLES]
    rows = {kind: by_cell(real), made: by_cell(clips)}
    with style.styled(theme):
        width, height = 1.4 + 1.4 * len(styles), 0.75 + 1.0 * len(labels)
        figure = style.new_figure(width, height)
        outer = figure.add_gridspec(
            len(labels), len(styles), left=1.35 / width, right=1 - 0.1 / width, top=1 - 0.45 / height,
            bottom=0.3 / height, hspace=0.16, wspace=0.06,
        )  # fmt: skip
        for row, label in enumerate(labels):
            for column, name in enumerate(styles):
                inner = outer[row, column].subgridspec(2, 1, hspace=0.06)
                for part, (what, cells) in enumerate(rows.items()):
                    ax = figure.add_subplot(inner[part])
                    _draw(ax, cells.get((label, name)), theme)
                    if row == 0 and part == 0:
                        ax.set_title(style.short(name, 20), fontsize=8, loc="center", pad=5, parse_math=False)
                    if column == 0:
                        _name_row(ax, label if part == 0 else "", what, theme)
                    if row == len(labels) - 1 and part == 1:
                        ax.set_xticks([0, 1, 2], ["0 s", "1", "2"], fontsize=7)
        return style.to_png(figure, crop=False)


def _draw(ax: Axes, recording: Recording | None, theme: Theme) -> None:
    low, high = librosa.hz_to_mel(LOW_HZ), librosa.hz_to_mel(HIGH_HZ)
    ax.set_facecolor(theme.faint)
    ax.spines[:].set_visible(False)
    ax.set(xlim=(0, SHORTEST_S), ylim=(low, high), xticks=[], yticks=[])
    if recording is None:
        ax.text(SHORTEST_S / 2, (low + high) / 2, "none", ha="center", va="center", color=theme.muted, fontsize=7.5)
        return
    part = excerpt(recording, SHORTEST_S)
    ax.imshow(
        mel_db(part.waveform), cmap=DECIBELS, vmin=-RANGE_DB, vmax=0, origin="lower", aspect="auto",
        interpolation="antialiased", extent=(0, max(part.duration_s, 0.01), low, high),
    )  # fmt: skip
    ax.set(xlim=(0, SHORTEST_S), ylim=(low, high))
    _mark(ax, part)


def _mark(ax: Axes, part: Excerpt) -> None:
    for event in part.events:
        colour = style.EVENT_COLOURS.get(event.kind)
        if colour is not None:
            long_s = max(event.end_s - event.start_s, 0.02)
            box = Rectangle(
                (event.start_s, 1 - _MARK), long_s, _MARK, transform=ax.get_xaxis_transform(), facecolor=colour,
                edgecolor="none",
            )  # fmt: skip
            ax.add_patch(box)


def _name_row(ax: Axes, label: str, what: str, theme: Theme) -> None:
    ax.set_yticks(librosa.hz_to_mel(list(_TICKS_HZ)), _TICKS, fontsize=5.5)
    ax.text(-0.2, 0.16, what, transform=ax.transAxes, ha="right", va="center", fontsize=6.5, color=theme.muted)
    if label:
        ax.text(
            -0.2, 1.02, style.short(label, 16), transform=ax.transAxes, ha="right", va="top", fontsize=8.5,
            color=theme.ink, parse_math=False, fontweight="bold",
        )  # fmt: skip
