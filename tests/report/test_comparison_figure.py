import io
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from resp_agent.report import style
from resp_agent.report.comparison_figure import Line, comparison_figure, spread
from resp_agent.report.style import DARK, LIGHT

CLIPS = (0.0, 40.0, 80.0)


def line(name, *curves, test=0.6, interval=(0.5, 0.7)):
    return Line(name, tuple((CLIPS[: len(curve)], tuple(curve)) for curve in curves), test, interval)


@pytest.fixture
def drawn(monkeypatch):
    """Figures before they become pixels."""
    kept, inner = [], style.to_png
    monkeypatch.setattr(style, "to_png", lambda figure: kept.append(figure) or inner(figure))
    return kept


def test_every_line_is_drawn_with_its_mean_its_test_and_its_name(drawn):
    lines = [line("weakness", (0.2, 0.4, 0.6), (0.4, 0.6, 0.8)), line("$x$", (0.3, 0.3), test=None, interval=None)]
    png = comparison_figure(lines, "A caption.", LIGHT)
    assert Image.open(io.BytesIO(png)).size[0] > 1000
    left, right = drawn[0].axes
    curves = [(tuple(one.get_xdata()), tuple(np.round(one.get_ydata(), 9))) for one in left.lines]
    assert (CLIPS, (0.3, 0.5, 0.7)) in curves
    assert ((0.0, 40.0), (0.3, 0.3)) in curves
    assert len(curves) == 4
    assert [0.6] in [list(one.get_ydata()) for one in right.lines if one.get_marker() == "o"]
    said = [text.get_text() for text in right.texts]
    assert said == ["weakness\n0.600  (0.500 to 0.700)", "$x$\nno test score yet"]


def test_names_of_equal_scores_do_not_overlap(drawn):
    lines = [line(f"a rather long name of a run, which has number {number}", (0.3, 0.5)) for number in range(11)]
    comparison_figure(lines, "A caption.", DARK)
    right = drawn[0].axes[1]
    boxes = sorted((text.get_window_extent().y0, text.get_window_extent().y1) for text in right.texts)
    assert all(below[1] <= above[0] for below, above in pairwise(boxes))
    title = right.title.get_window_extent()
    assert boxes[-1][1] <= title.y0


def test_places_keep_their_order_and_their_distance():
    assert spread([0.1, 0.9], 0.2, 0, 1) == pytest.approx([0.1, 0.9])
    assert spread([0.5, 0.5], 0.2, 0, 1) == pytest.approx([0.4, 0.6])
    assert spread([0.99, 0.2, 0.98], 0.2, 0, 1) == pytest.approx([1.0, 0.2, 0.8])
    rng = np.random.default_rng(2)
    for _ in range(50):
        wanted = rng.random(6)
        found = spread(wanted, 0.15, 0, 1)
        assert (np.argsort(found) == np.argsort(wanted)).all()
        assert (np.diff(np.sort(found)) > 0.15 - 1e-9).all()
        assert found.min() > -1e-9
        assert found.max() < 1 + 1e-9
