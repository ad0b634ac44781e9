"""A small Ray of its own for each module that asks for one."""

import pytest


@pytest.fixture(scope="module")
def small_ray():
    """A local Ray of two CPUs."""
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=80 * 2**20)
    yield ray
    ray.shutdown()
