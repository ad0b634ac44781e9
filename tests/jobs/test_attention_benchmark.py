"""`resp-agent benchmark attention`: what it computes of what it measures."""

import json

import numpy as np
import pytest

from jobs.benchmarks.attention import AttentionBenchmark, attention, slope, switch_point
from resp_agent.diagnoser.attention import DENSE_UP_TO
from resp_agent.errors import UserError

SMALL = {"heads": 2, "width": 8, "reach": 128, "anchors": 4, "repeats": 1}


def test_slope_is_the_exponent():
    lengths = [4096, 8192, 16384]
    assert slope(lengths, [3.0 * length**1.5 for length in lengths]) == pytest.approx(1.5)
    assert slope(lengths, [7.0] * 3) == pytest.approx(0, abs=1e-9)


def test_switch_point_is_where_the_gain_stays():
    assert switch_point([100, 200, 300, 400], [-1.0, 2.0, -1.0, 3.0]) == 400
    assert switch_point([100, 200, 300, 400], [-1.0, 2.0, 1.0, 3.0]) == 200
    assert switch_point([400, 100], [-1.0, 2.0]) is None


def test_prints_and_writes_costs_slopes_and_switch_point(tmp_path, capsys):
    job = AttentionBenchmark(tokens=(2048, 8192), switch=(64, 2048), json=str(tmp_path / "figures.json"), **SMALL)
    assert attention(job) == 0
    said = capsys.readouterr().out
    assert said.startswith("blocked path on cpu" if "cpu" in said.splitlines()[0] else "flex path on cuda")
    assert said.count("log-log slope") == 4
    assert "switch point: " in said
    figures = json.loads((tmp_path / "figures.json").read_text())
    short, long = figures["costs"]
    assert (short["tokens"], long["tokens"]) == (2048, 8192)
    slope_s = np.log(long["training_s"] / short["training_s"]) / np.log(4)
    assert figures["slopes"]["training_s"] == pytest.approx(slope_s)
    # The masks alone: 6,144 more queries by 388 keys, in float32.
    assert long["forward_mb"] - short["forward_mb"] > 6144 * 388 * 4 / 2**20
    assert [row["tokens"] for row in figures["switch"]["measured"]] == [64, 2048]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"tokens": (4096,)}, "at least two lengths"),
        ({"tokens": (64, DENSE_UP_TO)}, "never take the long path"),
        ({"heads": 0}, "at least 1"),
        ({"anchors": 300}, "more than the shortest sequence"),
    ],
)
def test_what_cannot_be_measured_is_refused(given, sentence):
    with pytest.raises(UserError, match=sentence):
        AttentionBenchmark(**given)
