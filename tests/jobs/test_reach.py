import http.server
import socket
import subprocess
import sys
import threading

import pytest

from jobs.reach import authentication, reach, resources


@pytest.fixture
def closed_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    return port


@pytest.mark.parametrize("address", ["", "local"])
def test_without_an_address_a_run_starts_its_own(address):
    said, missing = reach(address)
    assert "starts a local Ray" in said
    assert missing is None


@pytest.mark.parametrize("scheme", ["", "ray://", "http://"])
def test_a_cluster_that_is_not_there_is_named_with_a_way_out(scheme, closed_port):
    address = f"{scheme}127.0.0.1:{closed_port}"
    said, missing = reach(address)
    assert "not reached" in said
    assert address in missing
    assert "refused" in missing
    assert "unset RAY_ADDRESS" in missing
    assert "ray" not in sys.modules or not sys.modules["ray"].is_initialized()


@pytest.mark.parametrize("address", ["ftp://head:1", "head", "head:port", "http://"])
def test_an_address_that_is_none_is_named(address):
    _, missing = reach(address)
    assert address in missing
    assert "unset it" in missing


@pytest.mark.parametrize(("code", "reached"), [(200, True), (401, False)])
def test_a_dashboard_is_asked_for_its_version(code, reached):
    class Dashboard(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            assert self.path == "/api/version"
            self.send_response(code)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Dashboard) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        _, missing = reach(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert (missing is None) == reached
    if not reached:
        assert "401" in missing


def test_the_token_itself_is_never_said(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0123456789")
    assert authentication() == "authentication: token, a token in RAY_AUTH_TOKEN"


@pytest.mark.ray
def test_a_cluster_that_is_there_is_reached():
    ray = pytest.importorskip("ray")
    context = ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        said, missing = reach(context.address_info["gcs_address"])
    finally:
        ray.shutdown()
    assert said.endswith("reached")
    assert missing is None


STATUS = """======== Autoscaler status: 2026-11-27 02:16:31 ========
Node status
---------------------------------------------------------------
Active:
 2 node_1f
Pending:
 (no pending nodes)

Resources
---------------------------------------------------------------
Total Usage:
 8.5/64.0 CPU (8.5 used of 8.5 reserved in placement groups)
 1.0/4.0 GPU (1.0 used of 1.0 reserved in placement groups)
 0B/1.20GiB memory

Total Demands:
 {'CPU': 3.0}: 1+ pending tasks/actors
"""


def test_resources_are_read_from_what_ray_says_of_itself(monkeypatch):
    answer = subprocess.CompletedProcess([], 0, STATUS, "")
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: answer)
    assert resources("head:6379") == {"CPU": (8.5, 64.0), "GPU": (1.0, 4.0)}
    answer.stdout = " 0.0/2.0 CPU\n"
    assert resources("auto") == {"CPU": (0.0, 2.0), "GPU": (0.0, 0.0)}
    answer.returncode = 1
    assert resources("head:6379") is None


@pytest.mark.parametrize("address", ["", "local", "ray://head:10001", "http://head:8265"])
def test_resources_that_cannot_be_asked_are_unknown(address):
    assert resources(address) is None
