import json

import numpy as np
import pytest
from scipy import stats

from jobs.benchmark import main
from jobs.benchmarks.downstream import SOURCES, _beyond_narratives, measured

SEEDS = (1, 2, 3)


NAMES = {"none": "none", "transfer": "style transfer, random", "ours": "generator, random", "oracle": "oracle, random"}


def found(**rows: list[float]) -> dict:
    return {
        (NAMES[row], seed): value for row, values in rows.items() for seed, value in zip(SEEDS, values, strict=False)
    }


def test_shares_and_intervals_are_over_the_same_seeds():
    known = found(none=[0.3, 0.4, 0.5], transfer=[0.4, 0.5, 0.5], ours=[0.5, 0.6, 0.7], oracle=[0.7, 0.8, 0.9])
    row = measured("generator, random", SEEDS, known)
    assert row.mean == pytest.approx(0.6)
    assert row.share == pytest.approx(0.5)
    assert row.over_control == pytest.approx(0.4 / 3)
    gaps = np.array([0.1, 0.1, 0.2])
    expected = stats.ttest_1samp(gaps, 0).confidence_interval(0.95)
    assert row.interval == pytest.approx(tuple(expected))


def test_what_is_not_done_is_left_open():
    known = found(none=[0.3, 0.4], transfer=[0.4], ours=[0.5, 0.6, 0.7], oracle=[0.7, 0.8])
    row = measured("generator, random", SEEDS, known)
    assert set(row.scores) == set(SEEDS)
    assert row.share == pytest.approx((0.55 - 0.35) / (0.75 - 0.35))
    assert row.interval is None
    assert measured("oracle, weakness", SEEDS, known).mean is None


def test_what_narratives_alone_are_worth_is_told_apart():
    rows = {"generator, pool": [0.6, 0.7, 0.65], "style transfer, new patients, online": [0.5, 0.65, 0.6]}
    known = {(row, seed): value for row, values in rows.items() for seed, value in zip(SEEDS, values, strict=True)}
    (told,) = _beyond_narratives(SEEDS, known)
    low, high = stats.ttest_1samp([0.1, 0.05, 0.05], 0).confidence_interval(0.95)
    assert told.endswith(f"online: +0.067, 95 % {low:+.3f} to {high:+.3f}")
    assert _beyond_narratives(SEEDS, {}) == []
    control = measured("style transfer, new patients, random", SEEDS, {})
    assert control.share is None


@pytest.mark.slow
def test_the_smallest_table(tmp_path, capsys):
    words = ["downstream", "--preset", "smoke", "--seeds", "3", "--out", str(tmp_path)]
    assert main([*words, "--only", "none", "generator, pool"]) == 0
    table = json.loads((tmp_path / "downstream.json").read_text())
    rows = {row["title"]: row for row in table["rows"]}
    assert list(rows) == [source.title for source in SOURCES]
    assert 0 <= rows["generator, pool"]["mean"] <= 1
    assert rows["oracle, random"]["mean"] is None
    assert (tmp_path / "downstream.png").read_bytes()[:4] == b"\x89PNG"
    assert main([*words, "--only", "none"]) == 0
    assert "0 left to do" in capsys.readouterr().out


def test_another_corpus_and_unknown_rows_are_refused(tmp_path, capsys):
    for words, why in (
        (["--corpus", "folder=/x"], "only the embedded corpus has an oracle"),
        (["--only", "magic"], "there is no row 'magic'"),
    ):
        assert main(["downstream", "--out", str(tmp_path), *words]) == 2
        assert why in capsys.readouterr().err
