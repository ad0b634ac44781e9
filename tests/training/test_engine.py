"""The engine: exact resuming at every ZeRO stage, the same losses on any number of ranks, an average that is one."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from resp_agent.errors import CorruptCheckpoint, RunFailed
from resp_agent.settings import TrainingSettings
from resp_agent.training.checkpoints import digests, read_progress, verify, write_whole
from resp_agent.training.distributed import free_port
from resp_agent.training.engine import Engine, deepspeed_config
from resp_agent.training.fit import fit, scheduled, warm_constant, warm_linear
from tests.training.ranks import Regression, Rule, engine

CASES = ((0, "fp32"), (1, "fp32"), (2, "bf16"), (3, "fp32"))
"""ZeRO stage and precision."""


def _run(folder, world: int, **options) -> list[dict]:
    """What `tests.training.ranks` wrote for each of the cases; processes start slowly, so they do all of them."""
    folder.mkdir()
    port = str(free_port())
    several = [{"zero_stage": stage, "precision": precision, **options} for stage, precision in CASES]
    ranks = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.training.ranks",
                str(rank),
                str(world),
                port,
                str(folder),
                json.dumps(several),
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(world)
    ]
    for rank in ranks:
        _, problems = rank.communicate(timeout=400)
        assert rank.returncode == 0, problems[-2000:]
    return [json.loads((folder / f"{number}.json").read_text()) for number in range(len(CASES))]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> list[tuple[dict, dict]]:
    """Each case by one rank, in two micro-batches, and by two."""
    folder = tmp_path_factory.mktemp("ranks")
    return list(zip(_run(folder / "one", 1, accumulation=2), _run(folder / "two", 2), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("case", range(len(CASES)), ids=[f"{stage}-{precision}" for stage, precision in CASES])
def test_two_ranks_agree_with_one_and_resume_exactly(trained, case):
    one, two = trained[case]
    tolerance = 1e-4 if CASES[case][1] == "fp32" else 0.05
    np.testing.assert_allclose(two["losses"], one["losses"], atol=tolerance)
    for result in (one, two):
        assert result["resumed"] == result["losses"][12:]
        assert result["average"] == result["average_resumed"]
    for name, value in one["average"].items():
        np.testing.assert_allclose(two["average"][name], value, atol=tolerance)


def test_average_is_the_moving_average_of_the_weights():
    training = TrainingSettings(batch=16, averaging=0.8)
    trained = engine(training)
    expected = trained.averaged()
    for step in range(4):
        fit(trained, Rule(), step, step + 1, warm_constant(training))
        for name, parameter in trained.model.named_parameters():
            expected[name] = 0.8 * expected[name] + 0.2 * parameter.detach()
    for name, value in trained.averaged().items():
        torch.testing.assert_close(value, expected[name])


def test_accumulation_does_not_change_the_loss():
    plain = fit(engine(TrainingSettings(batch=16)), Rule(), 0, 5, lambda step: 1e-2)
    split = fit(engine(TrainingSettings(batch=16, accumulation=4)), Rule(), 0, 5, lambda step: 1e-2)
    np.testing.assert_allclose(split, plain, atol=1e-5)


@pytest.mark.parametrize("seed", [("a run", 3), None])
def test_drop_out_is_drawn_by_step_so_that_a_restart_repeats_it(tmp_path, seed):
    training = TrainingSettings(batch=16)

    def dropping() -> Engine:
        torch.manual_seed(0)
        model = Regression()
        model.net.insert(2, torch.nn.Dropout(0.5))
        return Engine(model, training)

    whole = fit(dropping(), Rule(), 0, 6, warm_constant(training), seed=seed)
    begun = dropping()
    fit(begun, Rule(), 0, 3, warm_constant(training), seed=seed)
    write_whole(tmp_path / "checkpoint", begun.save, {"step": 3})
    resumed = dropping()
    resumed.load(tmp_path / "checkpoint")
    # What is drawn by step is the same whatever was drawn before; without a seed it is not.
    torch.manual_seed(1)
    assert (fit(resumed, Rule(), 3, 6, warm_constant(training), seed=seed) == whole[3:]) == (seed is not None)


def test_training_ends_where_it_is_told_to():
    assert (
        len(fit(engine(TrainingSettings(batch=16)), Rule(), 0, 9, lambda step: 1e-2, lambda step, loss: step == 4)) == 4
    )


def test_a_loss_that_is_no_number_stops_training_with_a_way_out():
    trained = engine(TrainingSettings(batch=16))
    batch = (torch.full((16, 4), float("nan")), torch.zeros(16))
    with pytest.raises(RunFailed, match=r"loss became nan.*lower the rate"):
        trained.step([batch], 1e-3)


def test_batch_must_divide_over_ranks():
    with pytest.raises(RunFailed, match="batch of 16 does not divide over 3 ranks"):
        deepspeed_config(TrainingSettings(batch=16), 3)


def test_checkpoints_are_whole_or_absent_and_verified(tmp_path):
    folder = tmp_path / "checkpoint"

    def broken(partial):
        (partial / "a").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_whole(folder, broken, {"step": 1})
    assert read_progress(folder) is None
    written = write_whole(folder, lambda partial: (partial / "a").write_text("whole"), {"step": 2})
    assert read_progress(folder) == {"step": 2}
    assert written == digests(folder)
    verify(folder, written)
    (folder / "a").write_text("changed")
    with pytest.raises(CorruptCheckpoint, match="checkpoint/a is not what was written"):
        verify(folder, written)
    (folder / "a").unlink()
    with pytest.raises(CorruptCheckpoint, match="checkpoint/a is missing"):
        verify(folder, written)


def test_learning_rates_warm_up_and_decay():
    training = TrainingSettings(steps=10, warmup=2, learning_rate=1.0)
    constant, linear = warm_constant(training), warm_linear(training)
    assert [constant(step) for step in (0, 1, 5)] == [0.5, 1.0, 1.0]
    assert linear(2) == 1.0
    assert linear(9) == pytest.approx(0.125)
    assert all(linear(step) >= linear(step + 1) for step in range(2, 9))
    for schedule, rate in (("constant", constant), ("linear", linear)):
        chosen = scheduled(TrainingSettings(steps=10, warmup=2, learning_rate=1.0, schedule=schedule))
        assert [chosen(step) for step in range(10)] == [rate(step) for step in range(10)]


def test_training_alone_leaves_no_group_in_the_environment_for_children_to_join():
    engine(TrainingSettings(batch=16))
    assert not {"WORLD_SIZE", "RANK", "MASTER_PORT"} & set(os.environ)


def test_deepspeed_compiles_nothing():
    import deepspeed

    engine(TrainingSettings(batch=16))
    assert deepspeed.comm.comm.cdb.shm_comm_op is None
