"""What several jobs are tried on."""

from pathlib import Path

import pytest

from jobs.train_diagnoser import main

TRAINING = (
    *("--preset", "smoke", "--diagnoser.training.steps", "12", "--diagnoser.training.checkpoint-every", "5"),
    *("--diagnoser.training.validate-every", "4"),
)


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """The folder of a diagnoser trained in this process."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    assert main([*TRAINING, "--lab", "local", "--out", str(folder)]) == 0
    return folder
