"""What of a run is served."""

from pathlib import Path

import pytest

from actors.serving.served import find_served, latest_run, serve_generator
from resp_agent.diagnoser.diagnosis import Diagnoser
from tests.jobs.quick import main as curriculum

pytestmark = pytest.mark.slow
SMOKE = ("--preset", "smoke", "--lab", "local", "--curriculum.refresh-every", "2")


@pytest.fixture(scope="module")
def run(tmp_path_factory, first) -> Path:
    """A complete run, whose generator was refreshed on the way."""
    folder = tmp_path_factory.mktemp("runs") / "one"
    assert curriculum([*SMOKE, "--first", str(first / "first"), "--out", str(folder)]) == 0
    return folder


def test_of_a_complete_run_the_last_diagnoser_and_the_refreshed_generator_are_served(run, first):
    served = find_served(run=str(run))
    assert Path(served.diagnoser).parent == run / "checkpoints"
    assert "after round 3 of the run one" in served.trained
    assert Diagnoser(Path(served.diagnoser)).inputs.labels
    assert Path(served.studio.refreshed["folder"]).parent == run / "generators"
    assert serve_generator(run) == served.studio
    assert find_served(run=str(first)).studio.refreshed is None


def test_the_latest_run_is_the_one_that_moved_last(run, first):
    assert latest_run(run.parent) == run
    assert latest_run(first.parent) == first
    assert latest_run(run / "nothing") is None
