"""Figures of grounding: the same seconds above and below, events where they are, sizes that fit a page."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from resp_agent.corpus.schema import SAMPLE_RATE_HZ, Event
from resp_agent.diagnoser.grounding import Relevance
from resp_agent.metrics.pointing import Pointed
from resp_agent.report.grounding_figures import grounding_figure, pointing_figure
from resp_agent.report.spectrogram import DRAWN_S, drawn
from resp_agent.report.style import DARK, EVENT_COLOURS, LIGHT

WAVEFORM = 0.01 * np.random.default_rng(0).standard_normal(3 * SAMPLE_RATE_HZ).astype(np.float32)
SECONDS = np.arange(38) * 0.08 + 0.04
RELEVANCE = Relevance(SECONDS, 6 * np.exp(-((SECONDS - 2.0) ** 2) / 0.02) - 3)
POINTED = Pointed(40, 38, 0.9, (0.77, 0.96), 0.3, 0.7, 0.1)


def _pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def _columns(png: bytes, colour: str, below: float = 0.0) -> np.ndarray:
    """Columns in which a colour is seen below a share of the picture's height, as shares of its width."""
    wanted = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)])
    pixels = _pixels(png)
    seen = (np.abs(pixels[round(below * len(pixels)) :] - wanted).max(axis=2) < 24).any(axis=0)
    return seen.nonzero()[0] / len(seen)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_the_peak_is_marked_in_the_event_that_it_hits(theme):
    png = grounding_figure(WAVEFORM, RELEVANCE, [Event(1.7, 2.3, "wheeze")], "wheezes", theme)
    # The lower part only: the spectrogram's colours are like the marker's.
    event, peak = _columns(png, EVENT_COLOURS["wheeze"]), _columns(png, theme.warm, below=0.63)
    assert event.min() < np.median(peak) < event.max()
    moved = replace(RELEVANCE, log_odds=np.roll(RELEVANCE.log_odds, -20))
    png = grounding_figure(WAVEFORM, moved, [Event(1.7, 2.3, "wheeze")], "wheezes", theme)
    assert np.median(_columns(png, theme.warm, below=0.63)) < event.min()


def test_unmarked_recordings_are_not_said_to_have_no_event():
    unknown, none = (grounding_figure(WAVEFORM, RELEVANCE, events, "$x$", LIGHT) for events in (None, ()))
    assert unknown != none
    assert unknown == grounding_figure(WAVEFORM, RELEVANCE, None, "$x$", LIGHT)


def test_of_long_recordings_the_stretch_around_the_peak_is_drawn():
    assert drawn(20.0, 5.0) == (0.0, 20.0)
    assert drawn(200.0, 100.0) == (100 - DRAWN_S / 2, 100 + DRAWN_S / 2)
    assert drawn(200.0, 3.0) == (0.0, DRAWN_S)
    assert drawn(200.0, 199.0) == (200 - DRAWN_S, 200.0)


def test_every_sound_has_a_row():
    rows = [(f"sound {at}", replace(POINTED, hit=at / 8), POINTED if at else None) for at in range(8)]
    short, tall = (pointing_figure(rows[:count], "Pointing game", LIGHT) for count in (2, 8))
    assert len(_pixels(tall)) > len(_pixels(short)) + 300
    bars = _columns(pointing_figure(rows[7:], "Pointing game", LIGHT), LIGHT.accent)
    less = _columns(pointing_figure(rows[2:3], "Pointing game", LIGHT), LIGHT.accent)
    assert len(bars) > 2 * len(less)
