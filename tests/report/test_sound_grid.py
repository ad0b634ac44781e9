"""Spectrograms by label and style: the right sound in the right cell, its events where they are."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from resp_agent.corpus.schema import Event
from resp_agent.report import sound_grid, style
from resp_agent.report.page import render_report
from resp_agent.report.sound_grid import MOST_LABELS, by_cell, grid_figure
from resp_agent.report.spectrogram import mel_db
from tests.report.made_up import made_up, recording

LABELS, STYLES = ("control group", "asthma"), ("bell", "phone")


def sound(label: str, name: str, seed: int):
    return replace(recording(label, name, 3.0, seed, "real"), events=())


@pytest.fixture
def drawn(monkeypatch):
    """Axes by (row, part, column) of the figure that is drawn."""
    figures = []
    monkeypatch.setattr(sound_grid.style, "to_png", lambda figure, crop: figures.append(figure) or b"")

    def draw(real, clips, labels=LABELS, styles=STYLES):
        grid_figure(real, clips, labels, styles, "real", style.LIGHT)
        axes = iter(figures[-1].axes)
        places = [(row, column, part) for row in range(len(labels)) for column in range(len(styles)) for part in (0, 1)]
        return dict(zip(places, axes, strict=True))

    return draw


def test_every_sound_is_in_its_cell_and_the_others_say_none(drawn):
    real, clip = sound("asthma", "phone", 1), sound("control group", "phone", 2)
    axes = drawn([real], [clip, sound("control group", "phone", 3)])
    pictures = {place: ax.images[0].get_array() for place, ax in axes.items() if ax.images}
    assert set(pictures) == {(1, 1, 0), (0, 1, 1)}
    np.testing.assert_allclose(pictures[1, 1, 0], mel_db(real.waveform))
    np.testing.assert_allclose(pictures[0, 1, 1], mel_db(clip.waveform))
    for place, ax in axes.items():
        assert ("none" in [text.get_text() for text in ax.texts]) == (place not in pictures)


def test_events_are_marked_where_they_are(drawn):
    events = (Event(0.5, 0.9, "wheeze"), Event(1.2, 1.21, "fine crackle"), Event(0.0, 2.0, "normal"))
    axes = drawn([], [replace(sound("asthma", "bell", 1), events=events)])
    marks = [patch for patch in axes[1, 0, 1].patches if isinstance(patch, Rectangle)]
    assert [(mark.get_x(), round(mark.get_width(), 6)) for mark in marks] == [(0.5, 0.4), (1.2, 0.02)]
    assert [to_hex(mark.get_facecolor()) for mark in marks] == [style.EVENT_COLOURS[e.kind] for e in events[:2]]


def test_the_first_of_a_cell_counts():
    one, two, other = sound("asthma", "bell", 1), sound("asthma", "bell", 2), sound("asthma", "phone", 3)
    assert by_cell([one, two, other]) == {("asthma", "bell"): one, ("asthma", "phone"): other}


def test_a_short_clip_and_more_labels_than_fit_are_drawn(drawn):
    many = tuple(f"label {number}" for number in range(MOST_LABELS + 3))
    short = replace(sound(many[0], "bell", 1), waveform=sound(many[0], "bell", 1).waveform[:8000])
    grid_figure([short], [], many, STYLES, "real", style.DARK)


def test_the_page_has_the_grid_only_where_something_was_made(monkeypatch):
    monkeypatch.setattr(style, "DENSITY", 1)
    assert "figures/clips-by-label-and-style.png" in render_report(made_up(rounds=1))
    output = render_report(made_up(rounds=1, policy="none"))
    assert "figures/clips-by-label-and-style.png" not in output
    assert b"Every label in every style" not in output["report.html"]
