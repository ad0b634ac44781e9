"""Fixtures that every package's tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# How fast a machine is, and what else it does, is not what is tested.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real recordings, weights and reference outputs: RESP_AGENT_SHARED, by default ../shared."""
    folder = Path(os.environ.get("RESP_AGENT_SHARED", "../shared"))
    if not folder.is_dir():
        pytest.skip(f"the shared folder {folder} is absent: set RESP_AGENT_SHARED to where it is")
    return folder.resolve()


@pytest.fixture(scope="module")
def small_ray():
    """A local Ray of two CPUs, of its own for each module that asks for one."""
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=80 * 2**20)
    yield ray
    ray.shutdown()
