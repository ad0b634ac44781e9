import socket
import time

import pytest

from actors.cluster import knock, reserve
from resp_agent.errors import RunFailed


@pytest.mark.parametrize("address", ["", "local", "auto"])
def test_there_is_no_door_to_knock_at_where_ray_finds_its_own(address, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", address)
    knock()


def test_a_door_that_opens(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{server.getsockname()[1]}")
        knock()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "head", "ftp://head:1"])
def test_a_door_that_does_not_open_is_named_with_a_way_out(address, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(RunFailed, match=r"unset it for a local Ray, or run in this process") as caught:
        knock()
    assert address in str(caught.value)


@pytest.mark.ray
def test_what_cannot_be_placed_says_which_resource_is_short_and_holds_nothing(small_ray):
    from ray.util.placement_group import remove_placement_group

    with pytest.raises(RunFailed, match="ranks found no place within 1 s: 3 CPU are needed, 2 of 2 are free"):
        reserve(3, 1.0, 0.0, "PACK", 1.0, "ranks")
    with pytest.raises(RunFailed, match="1 GPU are needed, 0 of 0 are free"):
        reserve(1, 0.5, 1.0, "PACK", 1.0, "ranks")
    held = reserve(2, 1.0, 0.0, "PACK", 10.0, "ranks")
    remove_placement_group(held)
    time.sleep(0.1)
