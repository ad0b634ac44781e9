"""Colours: even steps, readable words."""

import numpy as np
import pytest

from resp_agent.report.style import (
    DARK,
    EVENT_COLOURS,
    LIGHT,
    luminance,
    oklch_to_srgb,
    sequential,
    short,
    text_over,
    two_digits,
)
from resp_agent.taxonomy import EVENT_KINDS


def contrast(one, other) -> float:
    """WCAG 2.2 contrast ratio."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])


def test_oklch_of_known_colours():
    # Ottosson's reference values: white, and sRGB red.
    np.testing.assert_allclose(oklch_to_srgb(1.0, 0.0, 0.0), [1, 1, 1], atol=1e-4)
    np.testing.assert_allclose(oklch_to_srgb(0.627955, 0.257683, np.deg2rad(29.2339)), [1, 0, 0], atol=1e-3)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_heat_maps_run_from_the_paper_without_turning(theme):
    values = np.array([luminance(colour) for colour in sequential(theme)(np.linspace(0, 1, 50))])
    steps = np.diff(values)
    assert (steps < 0).all() if theme is LIGHT else (steps > 0).all()
    assert abs(values[0] - luminance(rgb(theme.paper))) < 0.15


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_words_are_readable(theme):
    paper = rgb(theme.paper)
    assert all(contrast(rgb(colour), paper) >= 4.5 for colour in (theme.ink, theme.muted, theme.accent, theme.warm))
    for colour in sequential(theme)(np.linspace(0, 1, 50)):
        assert contrast(rgb(text_over(colour)), colour) >= 4.5


def test_every_event_kind_has_a_colour():
    assert set(EVENT_COLOURS) == set(EVENT_KINDS)


@pytest.mark.parametrize(("value", "text"), [(0.0, ".00"), (0.434, ".43"), (0.999, "1.0"), (1.0, "1.0")])
def test_two_digits(value, text):
    assert two_digits(value) == text


def test_short_names_wrap_and_end():
    assert short("upper respiratory tract infection", 20) == "upper respiratory\ntract infection"
    assert short("asthma") == "asthma"
    assert len(short("word " * 100, 20, 1)) <= 22
    assert short("") == " "
