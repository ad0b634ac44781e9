import re
import time
import urllib.request

import pytest
import ray

from actors.metrics import COUNTERS, GAUGES, count, show


def test_without_ray_nothing_is_counted_and_nothing_fails():
    count("resp_restarts", "run")
    show("resp_reward", "run", 0.5)


@pytest.mark.ray
@pytest.mark.slow
def test_what_is_counted_reaches_prometheus():
    """Asked where a cluster's Prometheus would: at the node's own metrics port."""
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        for name in COUNTERS:
            count(name, "a-run", 2)
            count(name, "a-run", 3)
        for name in GAUGES:
            show(name, "a-run", 0.25)
        port = ray.nodes()[0]["MetricsExportPort"]
        until, text = time.monotonic() + 60, ""
        wanted = {f"ray_{name}_total": 5.0 for name in COUNTERS} | {f"ray_{name}": 0.25 for name in GAUGES}
        found: dict[str, float] = {}
        while time.monotonic() < until and found != wanted:
            time.sleep(1)
            text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
            lines = re.findall(r'^(ray_resp_\w+){[^}]*run="a-run"[^}]*} ([\d.e+-]+)$', text, re.MULTILINE)
            found = {name: float(value) for name, value in lines if name in wanted}
        assert found == wanted
    finally:
        ray.shutdown()
