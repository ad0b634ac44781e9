"""The manifests of cluster/ as tests read them."""

from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"
RAY_KINDS = ("RayCluster", "RayJob", "RayService")


def read(path: Path) -> list[dict]:
    """The documents of a YAML file."""
    return list(yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader))


def manifests() -> dict[str, dict]:
    """`file:kind` -> what is applied to a Kubernetes cluster."""
    found = {}
    for path in sorted(CLUSTER.glob("*.yaml")):
        for document in read(path):
            if "kind" in document:
                found[f"{path.name}:{document['kind']}"] = document
    return found


def clusters() -> dict[str, dict]:
    """`file:kind` -> the RayClusterSpec in it."""
    inner = {"RayCluster": (), "RayJob": ("rayClusterSpec",), "RayService": ("rayClusterConfig",)}
    found = {}
    for name, manifest in manifests().items():
        if manifest["kind"] in inner:
            spec = manifest["spec"]
            for key in inner[manifest["kind"]]:
                spec = spec[key]
            found[name] = spec
    return found


def groups(cluster: dict) -> list[dict]:
    """Head and workers of a RayClusterSpec."""
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def templates() -> Iterator[tuple[str, dict]]:
    """Every pod template there is, named by where it is."""
    for name, cluster in clusters().items():
        for group in groups(cluster):
            yield f"{name}:{group.get('groupName', 'head')}", group["template"]
    for name, manifest in manifests().items():
        if manifest["kind"] == "RayJob":
            yield f"{name}:submitter", manifest["spec"]["submitterPodTemplate"]
        elif "template" in manifest["spec"]:
            yield name, manifest["spec"]["template"]
