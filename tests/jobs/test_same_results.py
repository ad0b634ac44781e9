"""Where a run happens changes its time, not its result. Preset `smoke`, trained generator, real processes."""

import numpy as np
import pytest

from tests.jobs.runs import Run

pytestmark = [pytest.mark.ray, pytest.mark.slow]
SMOKE = ("--preset", "smoke")


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    Run.end_all()


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    # The others are forked from a process with all imports done, which must not matter either.
    return Run(tmp_path_factory.mktemp("local"), *SMOKE, "--lab", "local", fresh=True).summary()


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """Kept over the runs of this module: the first one that needs a model trains it."""
    return tmp_path_factory.mktemp("first")


def test_the_run_does_something(local):
    assert len(local["rewards"]) == 3
    assert len(set(local["clip_ids"])) == local["clips"] == local["budget"] == 12
    assert len(local["losses"]) == 6 + 3 * 3
    assert any(local["rewards"])


@pytest.mark.parametrize("generators", ["1", "2"])
def test_ray_gives_what_one_process_gives(generators, local, first, tmp_path):
    # Of these runs, one trains what another one finds.
    flags = ("--lab", "ray", "--generators", generators, "--first", str(first))
    assert Run(tmp_path / "run", *SMOKE, *flags).summary() == local
    assert any(first.glob("generator-*/weights"))
    assert not (tmp_path / "run" / "first").exists()


def test_ray_refreshes_the_generator_as_one_process_does(local, first, tmp_path):
    refreshed = (*SMOKE, "--curriculum.refresh-every", "1", "--curriculum.refresh-steps", "4", "--first", str(first))
    here = Run(tmp_path / "local", *refreshed, "--lab", "local").summary()
    assert here["clip_ids"] != local["clip_ids"]
    # The first round is before any refresh.
    assert here["clip_ids"][:4] == local["clip_ids"][:4]
    assert Run(tmp_path / "ray", *refreshed, "--lab", "ray", "--generators", "2").summary() == here
    digests = [(tmp_path / lab / "generators" / "round-002" / "digests.json").read_text() for lab in ("local", "ray")]
    assert digests[0] == digests[1]


def test_two_diagnoser_workers_agree_in_losses(local, first, tmp_path):
    summary = Run(
        tmp_path / "run", *SMOKE, "--diagnoser-workers", "2", "--generators", "1", "--first", str(first)
    ).summary()
    # Once a decision differs in the last digits, a policy may ask for other clips: compared until then.
    same = next(
        (i for i, pair in enumerate(zip(summary["requests"], local["requests"], strict=True)) if pair[0] != pair[1]), 3
    )
    assert same >= 1
    steps = 6 + 3 * same
    assert np.abs(np.subtract(summary["losses"][:steps], local["losses"][:steps])).max() < 1e-4
    assert len(summary["losses"]) == len(local["losses"])


def test_without_synthesis_rounds_and_steps_are_the_same(local, first, tmp_path):
    summary = Run(tmp_path / "run", *SMOKE, "--lab", "local", "--policy", "none", "--first", str(first)).summary()
    assert summary["clips"] == 0
    assert summary["requests"] == [[], [], []]
    for name in ("losses", "rewards", "valid_macro_f1"):
        assert len(summary[name]) == len(local[name])
    assert summary["losses"][:6] == local["losses"][:6]
    assert summary["test_macro_f1_before"] == local["test_macro_f1_before"]
