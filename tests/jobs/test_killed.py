"""Blows with SIGKILL, each inside a phase that is proven; what a run comes to is the same as without them."""

import time

import pytest

from resp_agent.randomness import stream
from tests.jobs.runs import Place, Run, family

pytestmark = [pytest.mark.ray, pytest.mark.slow]

FLAGS = (
    *("--preset", "smoke"),
    *("--diagnoser.training.steps", "24", "--diagnoser.training.checkpoint-every", "8"),
    *("--generator.planner.training.steps", "24", "--generator.planner.training.checkpoint-every", "8"),
    *("--generator.flow.training.steps", "24", "--generator.flow.training.checkpoint-every", "8"),
    *("--curriculum.steps-per-round", "8", "--curriculum.refresh-every", "2", "--curriculum.refresh-steps", "16"),
)
"""Preset `smoke` with longer phases, to have something to strike."""
ALONE = ("--generators", "1")
"""For tests that strike elsewhere: a worker less to start."""


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    Run.end_all()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return Run(tmp_path_factory.mktemp("undisturbed"), *FLAGS, "--lab", "local").summary()


FIRST_CHECKPOINT = Place(
    "diagnoser-0", "checkpointing first training", 16, "first/diagnoser-*.unfinished.partial/engine"
)
CHECKPOINT = Place("diagnoser-0", "checkpointing", 2, "checkpoints/round-*.partial/engine")


def test_workers_killed_while_they_train_synthesize_learn_and_checkpoint(undisturbed, tmp_path):
    run = Run(tmp_path, *FLAGS)
    run.kill_workers(
        [
            Place("generator-training", "training planner", 12),
            Place("generator-training", "checkpointing planner", 16, "first/*/weights.planner.unfinished.partial"),
            Place("generator-training", "training flow", 12),
            Place("generator-training", "saving generator", 0, "first/*/weights.partial"),
            Place("generator-0", "synthesizing"),
            Place("generator-1", "synthesizing"),
        ],
        [
            Place("diagnoser-0", "first training", 12),
            FIRST_CHECKPOINT,
            Place("diagnoser-0", "learning", 4),
            CHECKPOINT,
        ],
    )
    assert run.summary() == undisturbed


def test_one_of_two_diagnoser_workers_killed_while_they_learn_together(tmp_path):
    two = (*FLAGS, *ALONE, "--diagnoser-workers", "2")
    # It learns nothing, so it cannot be refreshed.
    two = (*two, "--generator", "style-transfer", "--curriculum.refresh-every", "0")
    two = (*two, "--first", str(tmp_path / "first"))
    undisturbed = Run(tmp_path / "undisturbed", *two).summary()
    run = Run(tmp_path / "killed", *two)
    run.kill_worker(Place("diagnoser-1", "learning", 4))
    assert run.summary() == undisturbed


PLACES = [
    Place("diagnoser-0", "first training", 12),
    FIRST_CHECKPOINT,
    Place("generator-0", "training planner", 12),
    Place("generator-0", "checkpointing flow", 16, "first/*/weights.flow.unfinished.partial"),
    Place("generator-0", "synthesizing"),
    Place("diagnoser-0", "learning", 12),
    CHECKPOINT,
    Place("generator-0", "refreshing generator: training flow", 10),
]
"""In the order in which a run comes through them."""


def test_a_run_in_one_process_killed_in_every_phase_and_resumed_each_time(undisturbed, tmp_path):
    for place in PLACES:
        Run(tmp_path, *FLAGS, "--lab", "local").kill_driver(place)
    assert Run(tmp_path, *FLAGS, "--lab", "local").summary() == undisturbed


def test_the_driver_of_a_run_on_ray_killed_and_resumed_leaves_no_process(undisturbed, tmp_path):
    both = Place("diagnoser-0", "first training", 12), Place("generator-training", "training planner", 12)
    Run(tmp_path, *FLAGS, *ALONE).kill_driver(*both)
    Run(tmp_path, *FLAGS, *ALONE).kill_driver(Place("generator-0", "synthesizing"))
    Run(tmp_path, *FLAGS, *ALONE).kill_driver(CHECKPOINT)
    assert Run(tmp_path, *FLAGS, *ALONE).summary() == undisturbed


def test_a_run_killed_at_any_moment_and_resumed_until_it_is_done(undisturbed, tmp_path):
    blows, struck = stream("tests", "killed", 0), 0
    for longest_s in (0.5, 1.0, 1.5, 2.0):
        run = Run(tmp_path, *FLAGS, "--lab", "local")
        run.wait_for_line("first training on")
        time.sleep(blows.uniform(0, longest_s))
        own = family(run.process.pid)
        run.kill()
        run.see_the_end_of(own)
        if (tmp_path / "summary.json").exists():
            break
        struck += 1
    assert struck > 0
    assert Run(tmp_path, *FLAGS, "--lab", "local").summary() == undisturbed
