"""Fixtures that every package's tests share."""

import os
import time
from collections.abc import Callable, Iterator
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


@pytest.fixture(scope="session")
def s3_service() -> Iterator[str]:
    """The address of an S3 with the bucket `clinic`, which this process and its children use from now on."""
    from tests.stores import s3_server

    with s3_server() as address:
        yield address


@pytest.fixture
def s3(s3_service, tmp_path, monkeypatch) -> str:
    """A place of the test's own on an S3; nothing is mirrored yet."""
    monkeypatch.setenv("RESP_AGENT_CACHE", str(tmp_path / "cache"))
    return f"s3://clinic/{tmp_path.parent.name}/{tmp_path.name}"


@pytest.fixture
def another_machine(tmp_path, monkeypatch) -> Callable[[], None]:
    """To be called where a test goes on as another machine, which has mirrored nothing."""

    def move() -> None:
        monkeypatch.setenv("RESP_AGENT_CACHE", str(tmp_path / f"cache-{time.monotonic_ns()}"))

    return move
