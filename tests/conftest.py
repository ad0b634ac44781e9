"""Fixtures that every package's tests share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real recordings, weights and reference outputs: RESP_AGENT_SHARED, by default ../shared."""
    folder = Path(os.environ.get("RESP_AGENT_SHARED", "../shared"))
    if not folder.is_dir():
        pytest.skip(f"the shared folder {folder} is absent: set RESP_AGENT_SHARED to where it is")
    return folder.resolve()
