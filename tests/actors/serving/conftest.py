"""A first training that serving is tried on."""

from pathlib import Path

import pytest

from jobs.console import Console
from jobs.first_training import first_training
from resp_agent.settings import smoke


@pytest.fixture(scope="session")
def first(tmp_path_factory) -> Path:
    """The run directory of a first training with the smallest preset."""
    return first_training(tmp_path_factory.mktemp("runs") / "first-smoke", smoke(), Console())
