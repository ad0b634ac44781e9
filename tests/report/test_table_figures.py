"""A figure of compared systems says what it was given."""

import io
import math

import pytest
from PIL import Image

from resp_agent.report import style, table_figures
from resp_agent.report.style import DARK, LIGHT
from resp_agent.report.table_figures import Compared, comparison_figure

METRICS = {"macro_f1": "macro-F1", "accuracy": "accuracy"}


def row(title, mean=0.5, deviation=0.02, paper=0.4, missing=""):
    return Compared(title, "both", dict.fromkeys(METRICS, (mean, deviation)), dict.fromkeys(METRICS, paper), missing)


@pytest.fixture
def drawn(monkeypatch):
    """Figures before they become pixels."""
    kept, inner = [], style.to_png
    monkeypatch.setattr(style, "to_png", lambda figure: kept.append(figure) or inner(figure))
    return kept


def test_every_row_has_its_name_both_figures_and_an_error_bar(drawn):
    rows = [row("Conformer", 0.3, 0.05, 0.2), row("Weaving $x$", 0.6, 0.1, 0.7)]
    comparison_figure("Table 6", rows, METRICS, "Ours: a corpus. Paper: another.", LIGHT)
    figure = drawn[0]
    left = figure.axes[0]
    assert [name.get_text() for name in left.get_yticklabels()] == ["Conformer (both)", "Weaving $x$ (both)"]
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["macro-F1", "accuracy"]
    points = [line.get_xdata().tolist() for line in left.lines if line.get_marker() in ("o", "D")]
    assert sorted(points) == [[0.2, 0.7], [0.3, 0.6]]
    bars = [segment[:, 0].tolist() for segment in left.containers[0].lines[2][0].get_segments()]
    assert [value for bar in bars for value in bar] == pytest.approx([0.25, 0.35, 0.5, 0.7])
    assert {text.get_text() for text in left.get_legend().get_texts()} == {"ours, mean ± sd", "paper"}
    assert any("Paper: another." in text.get_text() for text in figure.texts)


def test_rows_without_results_or_without_a_paper_are_drawn_and_said(drawn):
    rows = [row("failed row", math.nan, math.nan, 0.3, "failed"), row("ours alone", 0.5, math.nan, math.nan)]
    png = comparison_figure("Table", rows, METRICS, "note", DARK)
    assert Image.open(io.BytesIO(png)).size[0] > 1000
    assert "failed" in [text.get_text() for text in drawn[0].axes[0].texts]


def test_the_same_rows_give_the_same_bytes():
    rows = [row("Conformer")]
    one, other = (comparison_figure("T", rows, METRICS, "note", LIGHT) for _ in range(2))
    assert one == other
    assert table_figures.comparison_figure("T", [row("LSTM")], METRICS, "note", LIGHT) != one
