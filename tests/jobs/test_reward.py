import json

import numpy as np
import pytest

from jobs.benchmark import main
from jobs.benchmarks.reward import trust


def test_deviations_across_and_within_are_told_apart():
    rng = np.random.default_rng(0)
    worth, noise = rng.normal(0, 0.03, (400, 1)), rng.normal(0, 0.02, (400, 5))
    found = trust([worth + noise], [worth + rng.normal(0, 0.01, (400, 5))])
    assert found.across == pytest.approx(0.03, rel=0.1)
    assert found.within == pytest.approx(0.02, rel=0.05)
    # Cov is .03^2; variances are .03^2 + .02^2 and .03^2 + .01^2.
    assert found.correlation == pytest.approx(0.03**2 / np.sqrt((0.03**2 + 0.02**2) * (0.03**2 + 0.01**2)), abs=0.03)
    assert found.noise == pytest.approx(0.02**2 / (0.02**2 + 0.03**2), abs=0.06)


def test_seeds_with_other_levels_do_not_make_a_correlation():
    rng = np.random.default_rng(1)
    rewards = [level + rng.normal(0, 0.01, (50, 4)) for level in (0.1, 0.5)]
    test = [level + rng.normal(0, 0.01, (50, 4)) for level in (0.1, 0.5)]
    assert abs(trust(rewards, test).correlation) < 0.15


def test_a_reward_that_never_moves_is_said_to_tell_nothing():
    found = trust([np.zeros((3, 2))], [np.zeros((3, 2))])
    assert (found.across, found.within, found.correlation, found.noise) == (0, 0, None, None)


@pytest.mark.slow
def test_the_smallest_table(tmp_path, capsys):
    words = ["reward", "--preset", "smoke", "--seeds", "3", "--actions", "2", "--repeats", "2", "--out", str(tmp_path)]
    words += ["--generator", "style-transfer"]
    assert main(words) == 0
    first = (tmp_path / "reward.json").read_text()
    assert set(json.loads(first)) == {"macro_f1", "soft_macro_f1"}
    assert main(words) == 0
    assert "2 times each" in capsys.readouterr().out
    assert (tmp_path / "reward.json").read_text() == first
    assert main([*words, "--repeats", "1"]) == 2
