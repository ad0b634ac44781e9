import json
import math
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from jobs.benchmark import main
from jobs.benchmarks.planner_rows import all_rows, chosen_rows, what_counts
from jobs.benchmarks.planner_table import difference, figures, verdict
from resp_agent.errors import UserError
from resp_agent.settings import from_plain, preset

SEEDS = (1, 2, 3)


def done(*scores, **more):
    return {
        seed: {"macro_f1": score, "accuracy": score, "tail_f1": score / 2, "clips": 8, "valid": [0.2, 0.4, 0.6],
               "spent": [4, 8], **more}
        for seed, score in zip(SEEDS, scores, strict=False)
    }  # fmt: skip


def test_differences_are_taken_seed_by_seed_over_the_seeds_that_both_have():
    gap = difference(done(0.6, 0.7, 0.65), done(0.5, 0.55, 0.6))
    low, high = stats.ttest_1samp([0.1, 0.15, 0.05], 0).confidence_interval(0.95)
    assert (gap.mean, gap.low, gap.high, gap.seeds) == pytest.approx((0.1, low, high, 3))
    assert not gap.separated
    assert gap.told().endswith("not separated")
    assert difference(done(0.6, 0.7), done(0.5, 0.6, 0.9)).seeds == 2
    assert difference(done(0.6), done(0.5)) is None


def test_the_share_is_of_the_best_policy_with_the_oracle():
    results = {"none": done(0.3, 0.4), "random": done(0.5, 0.6), "thinker": done(0.6, 0.7)}
    oracle = {"none": done(0.3, 0.4), "random": done(0.6, 0.7), "weakness": done(0.7, 0.8), "hard-case": done(0.9)}
    rows = {row.name: row for row in figures(results, oracle)}
    # hard-case was not done for both seeds, so weakness bounds: (.55 - .35) / (.75 - .35).
    assert rows["random"].share == pytest.approx(0.5)
    assert rows["thinker"].share == pytest.approx(0.75)
    assert rows["none"].share == pytest.approx(0)
    assert rows["random"].to_random is None
    assert rows["none"].to_random.mean == pytest.approx(-0.2)
    assert rows["random"].thinkers.mean == pytest.approx(0.1)


def test_the_gain_by_budget_is_read_off_the_curve():
    row = figures({"random": done(0.5, valid=[0.2, 0.4, 0.6], spent=[2, 8], clips=8)}, {})[0]
    # Half of the gain came with a quarter of the clips, the rest evenly with the others.
    assert row.gain_by_budget() == pytest.approx([0.5, 0.5 + 0.5 / 3, 0.5 + 1 / 3])
    without = figures({"none": done(0.5, clips=0)}, {})[0]
    assert all(map(math.isnan, without.gain_by_budget()))


def test_the_verdict_says_what_is_not_separated_and_what_does_not_beat_the_references():
    results = {
        "none": done(0.5, 0.6, 0.5), "focal": done(0.4, 0.4, 0.4), "random": done(0.5, 0.55, 0.5),
        "weakness": done(0.6, 0.65, 0.61), "thinker": done(0.601, 0.652, 0.609), "hard-case": done(0.7, 0.5, 0.6),
    }  # fmt: skip
    told = "\n".join(verdict(figures(results, {})))
    assert "first by mean: thinker (0.621)" in told
    assert "thinker over random: +0.104" in told
    assert "not separated" not in told.split("thinker over random")[1].split("\n")[0]
    assert "thinker over weakness: +0.001" in told
    assert "not separated; no worse" in told
    assert "not shown to be no worse by 0.02" in told.split("hard-case")[1].split("\n")[0]
    assert "rows that do not beat none: random" in told
    assert "rows that do not beat focal: none" in told


def test_rows_differ_in_what_makes_them_and_in_nothing_else():
    study = preset("smoke")
    rows = {row.name: row for row in all_rows(study)}
    assert rows["focal"].settings(study).diagnoser.loss == "focal"
    assert rows["thinker/style-transfer"].settings(study).generator.kind == "style-transfer"
    for name in ("random", "weakness", "thinker", "bandit-linucb"):
        assert rows[name].settings(study) == study
    assert rows["thinker/hardness"].settings(study).curriculum.hardness_levels == 3
    with_oracle = from_plain({"generator": {"kind": "oracle"}}, study)
    assert not any("style-transfer" in row.name or "hardness" in row.name for row in all_rows(with_oracle))
    # Without synthesis it does not matter which generator there would have been: both studies share the trials.
    none = next(row for row in all_rows(with_oracle) if row.name == "none")
    assert what_counts(none, with_oracle) == what_counts(rows["none"], study)


def test_policies_with_parameters_are_rows_and_unknown_names_are_refused():
    study = preset("smoke")
    assert [row.policy for row in chosen_rows(["random", "thinker:temperature=0.5"], study)][1] == (
        "thinker:temperature=0.5"
    )
    for name, why in (("magic", "no planner 'magic'"), ("thinker:magic=1", "no parameter 'magic'")):
        with pytest.raises(UserError, match=why):
            chosen_rows([name], study)


WORDS = ["planners", "--preset", "smoke", "--seeds", "3,4"]


@pytest.mark.slow
def test_the_smallest_study(tmp_path, capsys):
    words = [*WORDS, "--out", str(tmp_path)]
    chosen = "none,random,thinker,random/style-transfer,thinker/training-cells,none/train+valid"
    assert main([*words, "--planners", chosen, "--json", str(tmp_path / "table.json")]) == 0
    table = json.loads((tmp_path / "table.json").read_text())
    rows = {row["policy"]: row for row in table["rows"]}
    assert {
        "policy",
        "macro_f1_mean",
        "macro_f1_sd",
        "tail_f1_mean",
        "accuracy_mean",
        "difference_to_random",
        "ci95",
    } <= (set(rows["thinker"]))
    scores = {name: [rows[name]["seeds"][seed]["macro_f1"] for seed in ("3", "4")] for name in ("random", "thinker")}
    assert rows["thinker"]["macro_f1_mean"] == pytest.approx(np.mean(scores["thinker"]))
    gaps = np.subtract(scores["thinker"], scores["random"])
    assert rows["thinker"]["difference_to_random"] == pytest.approx(gaps.mean())
    assert rows["weakness"]["macro_f1_mean"] is None
    assert rows["none"]["seeds"]["3"]["clips"] == 0
    assert rows["thinker"]["seeds"]["3"]["clips"] == 12
    played = rows["thinker"]["seeds"]["3"]
    assert sum(played["rewards"]) == pytest.approx(played["valid"][-1] - played["valid"][0])
    # Rows of a seed share the first training; one that validates elsewhere has the same recordings to train on.
    assert len({rows[name]["seeds"]["3"]["macro_f1_before"] for name in ("none", "random", "thinker")}) == 1
    assert rows["none/train+valid"]["seeds"]["3"]["macro_f1_before"] != rows["none"]["seeds"]["3"]["macro_f1_before"]
    assert (tmp_path / "planners-trained.png").read_bytes()[:4] == b"\x89PNG"
    out = capsys.readouterr().out
    assert "what thinker loses where validation holds training's cells only" in out
    # Again: nothing is left to do, and no leftovers of episodes lie about.
    assert main([*words, "--planners", chosen]) == 0
    assert "0 left to do" in capsys.readouterr().out
    assert not list((tmp_path / "planner-trials" / "playing").glob("*"))


@pytest.mark.slow
def test_two_at_once_share_the_work_and_an_episode_is_what_it_is_alone(tmp_path):
    words = [*WORDS, "--planners", "random,weakness", "--generator", "style-transfer"]
    command = [sys.executable, "-m", "jobs.benchmark", *words, "--out", str(tmp_path / "both")]
    both = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert main([*words, "--out", str(tmp_path / "one")]) == 0

    def scores(name):
        table = json.loads((tmp_path / name / "planners-style-transfer.json").read_text())
        return {row["policy"]: {s: one["macro_f1"] for s, one in row["seeds"].items()} for row in table["rows"]}

    assert scores("both") == scores("one")
    assert len(scores("one")["weakness"]) == 2
