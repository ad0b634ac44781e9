"""The generator's speed benchmark: both paths make the same, and steps are chosen by what was measured."""

import json

import pytest
import torch

from jobs.benchmark import parse
from jobs.benchmarks.generator_speed import FEW_STEPS, RESULTS, GeneratorSpeedBenchmark, check, speed_generator, summary
from jobs.benchmarks.generator_speed_paths import Ours, Sizes, asked_for
from jobs.benchmarks.generator_speed_reference import Reference
from jobs.benchmarks.generator_speed_solvers import (
    AS_EXACT,
    FAD_TOLERANCE,
    FEW,
    REFERENCE,
    Steps,
    as_exact,
    as_good,
)
from jobs.console import Console
from resp_agent.errors import RunFailed, UserError
from resp_agent.generator.solver import euler, even_times, warped_times

SMALL = {
    **{"words": 20, "units": 16, "feature_width": 8, "mels": 12},
    **{"planner_width": 32, "planner_layers": 2, "planner_heads": 2, "planner_head_width": 16},
    **{"flow_width": 16, "flow_layers": 2, "flow_heads": 2, "vocoder_width": 16, "vocoder_layers": 1},
}


@pytest.fixture(scope="module")
def clips():
    return asked_for(Sizes(**SMALL), 0.3, 3, seed=1)


@pytest.fixture
def paths(clips):
    ours = Ours(Sizes(**SMALL), clips[0].noise.shape[1])
    return ours, Reference(ours)


def test_both_paths_make_the_same_of_the_same_clips(paths, clips, capsys):
    check(*paths, clips, Console())
    assert "45 greedy units are equal" in capsys.readouterr().out
    units = paths[0].plan(clips)
    assert units.shape == (3, 15)
    assert set(units.flatten().tolist()) <= set(range(16))
    # A clip is the same in any batch.
    assert torch.equal(paths[0].plan(clips[1:2]), units[1:2])
    written = paths[1].plan(clips[0])
    assert written.shape == (1, 15)
    assert set(written.flatten().tolist()) <= set(range(16))


def test_paths_that_differ_are_not_timed(paths, clips):
    ours, reference = paths
    reference.flow.blocks[1].attn.in_proj_bias = torch.nn.Parameter(torch.ones(48))
    with pytest.raises(RunFailed, match="log-mels differ by"):
        check(ours, reference, clips, Console())
    plan = ours.plan
    ours.plan = lambda clips, temperature: plan(clips, temperature) + 1
    with pytest.raises(RunFailed, match="planners write other units"):
        check(ours, reference, clips, Console())


@pytest.mark.parametrize("steps", [REFERENCE, *AS_EXACT[:6], *FEW], ids=str)
def test_evaluations_are_the_calls_of_the_velocity(steps):
    calls = []

    def velocity(x, t):
        calls.append(t)
        return torch.full_like(x, 2.0)

    assert steps.solve(velocity, torch.zeros(1), []).item() == pytest.approx(2)
    assert len(calls) == steps.evaluations
    assert calls == sorted(calls)


def test_steps_are_warped_as_told():
    times = {warp: [] for warp in (True, False)}
    for warp, seen in times.items():
        Steps("euler", 4, warp).solve(lambda x, t, seen=seen: seen.append(t) or x, torch.zeros(1), [])
    assert times == {True: warped_times(5)[:-1], False: even_times(5)[:-1]}
    plain = euler(lambda x, t: x * t, torch.ones(1), warped_times(32))
    assert torch.equal(REFERENCE.solve(lambda x, t: x * t, torch.ones(1), []), plain)


def test_as_few_steps_are_taken_as_are_exact_enough_at_every_guidance():
    def error(steps, guidance):
        if steps == REFERENCE:
            return 0.1
        return {"midpoint": 1.0, "adams-bashforth": 0.6}[steps.solver] * guidance / steps.evaluations

    assert as_exact(error, (1.0,), Console()) == Steps("adams-bashforth", 6, False)
    assert as_exact(error, (1.0, 2.0), Console()) == Steps("adams-bashforth", 12, False)
    assert [steps.evaluations for steps in AS_EXACT] == sorted(steps.evaluations for steps in AS_EXACT)
    with pytest.raises(RunFailed, match="no solver is as exact as 31 warped euler steps"):
        as_exact(error, (1.0, 9.0), Console())


@pytest.mark.parametrize(("excess", "count"), [(0.9, 1), (1.1, 2), (2.1, 3), (-5.0, 1)])
def test_as_few_steps_are_taken_as_have_nearly_the_same_fad(excess, count):
    def fad(steps):
        return 2.0 * (1 + (0 if steps == REFERENCE else excess * FAD_TOLERANCE / steps.count))

    assert as_good(fad, Console()).count == count


def test_steps_that_sound_worse_are_refused():
    with pytest.raises(RunFailed, match="no 8 steps or fewer"):
        as_good(lambda steps: 1.0 if steps == REFERENCE else 2.0, Console())


def test_sums_of_parts_are_those_of_a_turn():
    reference = [{"planner": 1.0, "flow": 8.0, "vocoder": 1.0}, {"planner": 9.0, "flow": 2.0, "vocoder": 1.0}]
    ours = [{"planner": 1.0, "flow": 2.0, FEW_STEPS: 0.5, "vocoder": 1.0}] * 2
    result = summary(reference, ours)
    assert set(result) == set(RESULTS)
    assert result["planner"] == {"reference_s": 5.0, "ours_s": 1.0, "ratio": 5.0}
    assert result["synthesis"] == {"reference_s": 11.0, "ours_s": 4.0, "ratio": 2.75}
    assert result["synthesis_few_steps"] == {"reference_s": 11.0, "ours_s": 2.5, "ratio": 4.4}


def test_steps_are_tried_on_a_trained_flow_and_every_part_is_timed(tmp_path, capsys):
    flags = [word for name, value in SMALL.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    flags += ["--preset", "smoke", "--out", str(tmp_path), "--json", str(tmp_path / "speed.json")]
    flags += ["--clip-s", "0.5", "--planner-batch", "3", "--render-batch", "2", "--repeats", "2", "--threads", "1"]
    flags += ["--per-cell", "1", "--backbone.kind", "log-mel"]
    before = torch.get_num_threads()
    try:
        assert speed_generator(parse(GeneratorSpeedBenchmark, "speed generator", flags)) == 0
    finally:
        torch.set_num_threads(before)
    result = json.loads((tmp_path / "speed.json").read_text())
    assert set(result) == set(RESULTS)
    for entry in result.values():
        assert entry["ratio"] == pytest.approx(entry["reference_s"] / entry["ours_s"])
    # Two evaluations of a batch take less than 62 of one clip, even if the machine is busy.
    assert result[FEW_STEPS]["ratio"] > 2
    told = capsys.readouterr().out
    assert "relative L2 to 256 even midpoint steps, guidance 1 and 3: 31 warped euler steps" in told
    assert "FAD of 1 clips of each label and style, log-mel" in told
    assert "synthesis: " in told
    assert len(list(tmp_path.glob("generator-*/weights/flow.safetensors"))) == 1


def test_impossible_runs_are_refused():
    for wrong, said in (
        ({"clip_s": 0.0}, "clips of 0 s"),
        ({"repeats": 0}, "at least 1"),
        ({"planner_batch": 2, "render_batch": 3}, "only 2 clips are planned at once, so 3"),
        ({"per_cell": 0}, "FAD of no clips"),
    ):
        with pytest.raises(UserError, match=said):
            GeneratorSpeedBenchmark(**wrong)
    with pytest.raises(UserError, match="3 heads of a planner"):
        Sizes(planner_heads=3)
