"""`resp-agent benchmark cluster`: what it measures adds up; how much that is, is told, and tested by one bound only."""

import json
import socket

import pytest
import ray

from jobs.benchmark import main
from jobs.benchmarks.traffic import tcp_bytes


def test_traffic_is_what_went_over_connections():
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        other, _ = server.accept()
        with one, other:
            before = tcp_bytes()
            one.sendall(b"x" * 3_000)
            assert len(other.recv(3_000, socket.MSG_WAITALL)) == 3_000
            # Sent by one and received by the other, both in this process.
            assert tcp_bytes() - before == 6_000


@pytest.fixture
def own_ray():
    """The job's Ray, which ends with its process, ends with the test."""
    yield
    ray.shutdown()


@pytest.mark.ray
@pytest.mark.slow
def test_a_clip_costs_the_driver_less_than_two_kilobytes_however_many_workers_there_are(own_ray, tmp_path, capsys):
    flags = ("--workers", "200", "--answers", "400", "--per-request", "1", "--clips", "6", "--repeats", "1")
    flags = (*flags, "--preset", "smoke", "--generator", "style-transfer", "--json", str(tmp_path / "found.json"))
    assert main(["cluster", *flags]) == 0
    found = json.loads((tmp_path / "found.json").read_text())
    few, some, many = found["driver"]
    assert [one["workers"] for one in found["driver"]] == [2, 20, 200]
    assert 200 < few["bytes_per_clip"] < 2_000
    assert max(some["bytes_per_clip"], many["bytes_per_clip"]) < 1.5 * few["bytes_per_clip"]
    assert found["ratio"] == pytest.approx(found["synthesis"]["1"][0] / found["synthesis"]["2"][0])
    told = capsys.readouterr().out
    assert "200 workers that make nothing" in told
    assert "synthesis of 6 clips, median of 1" in told
