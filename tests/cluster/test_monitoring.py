import json
import re

import promql_parser
import pytest
import ray

from actors.metrics import COUNTERS, GAUGES
from tests.cluster.manifests import CLUSTER, read

OURS = {f"ray_{name}_total" for name in COUNTERS} | {f"ray_{name}" for name in GAUGES}
RULES = read(CLUSTER / "prometheus-rules.yaml")[0]
DASHBOARD = json.loads((CLUSTER / "grafana-dashboard.json").read_text())


def rules():
    return [rule for group in RULES["groups"] for rule in group["rules"]]


def expressions():
    return [rule["expr"] for rule in rules()] + [
        target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]
    ]


def metrics(expression: str) -> set[str]:
    return set(re.findall(r"\bray_\w+", expression))


@pytest.mark.parametrize("expression", expressions())
def test_expressions_are_promql_on_metrics_that_there_are(expression):
    promql_parser.parse(expression.replace("$__rate_interval", "5m"))
    for name in metrics(expression) - OURS:
        assert not name.startswith("ray_resp_"), f"nothing counts {name}"
        assert exported_by_ray(name), f"Ray has no {name}"


def exported_by_ray(name: str) -> bool:
    from pathlib import Path

    panels = Path(ray.__file__).parent / "dashboard" / "modules"
    short = name.removeprefix("ray_")
    sources = [*panels.glob("metrics/dashboards/*.py"), *panels.glob("reporter/*.py")]
    return any(re.search(rf"\b({name}|{short})\b", path.read_text()) for path in sources)


def test_the_dashboard_shows_everything_that_runs_export():
    drawn = {name for panel in DASHBOARD["panels"] for t in panel["targets"] for name in metrics(t["expr"])}
    assert drawn >= OURS


def test_panels_do_not_cover_each_other():
    cells = [
        (x, y)
        for at in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_every_alert_says_what_to_do():
    for rule in rules():
        assert ("alert" in rule) != ("record" in rule)
        assert set(rule) <= {"alert", "record", "expr", "for", "labels", "annotations"}
        if "alert" in rule:
            assert rule["labels"]["severity"] in ("info", "warning", "critical")
            assert ":" in rule["annotations"]["summary"]
            for label in re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]):
                assert label in rule["expr"] or label == "instance"


def test_prometheus_finds_rules_and_nodes():
    from ray._private.ray_constants import PROMETHEUS_SERVICE_DISCOVERY_FILE

    config = read(CLUSTER / "prometheus.yaml")[0]
    assert all((CLUSTER / name).is_file() for name in config["rule_files"])
    (scrape,) = config["scrape_configs"]
    assert scrape["file_sd_configs"][0]["files"] == [f"/tmp/ray/{PROMETHEUS_SERVICE_DISCOVERY_FILE}"]
