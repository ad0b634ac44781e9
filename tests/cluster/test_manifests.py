import copy

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft202012Validator

from actors.serving.app import Arguments
from tests.cluster.manifests import RAY_KINDS, clusters, groups, manifests, templates

KUBERNETES = kubernetes_validate.latest_version()
MANIFESTS, CLUSTERS, TEMPLATES = manifests(), clusters(), dict(templates())
RAY_CLUSTERS = sorted(CLUSTERS)


@pytest.fixture(scope="session")
def ray_schemas(shared):
    """Kind -> validator of KubeRay's v1 definition, which also refuses what the definition does not name."""
    found = {}
    for path in (shared / "reference" / "kuberay").glob("*.yaml"):
        definition = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)["spec"]
        schema = next(one for one in definition["versions"] if one["name"] == "v1")["schema"]["openAPIV3Schema"]
        found[definition["names"]["kind"]] = Draft202012Validator(closed(schema))
    return found


def closed(schema: dict) -> dict:
    """A structural schema in which an unknown field is an error; Kubernetes itself would drop it silently."""
    if schema.get("type") == "object" and "properties" in schema:
        schema = {"additionalProperties": bool(schema.get("x-kubernetes-preserve-unknown-fields"))} | schema
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            schema = schema | {key: closed(schema[key])}
    if "properties" in schema:
        schema = schema | {"properties": {name: closed(one) for name, one in schema["properties"].items()}}
    return schema


@pytest.mark.parametrize("name", [name for name, one in MANIFESTS.items() if one["kind"] in RAY_KINDS])
def test_ray_manifests_are_valid(ray_schemas, name):
    validator = ray_schemas[MANIFESTS[name]["kind"]]
    assert [f"{'.'.join(map(str, e.absolute_path))}: {e.message}" for e in validator.iter_errors(MANIFESTS[name])] == []


def test_an_unknown_field_and_a_wrong_type_are_found(ray_schemas):
    broken = copy.deepcopy(MANIFESTS["raycluster.yaml:RayCluster"])
    broken["spec"]["workerGroupSpecs"][0]["minReplica"] = 1
    broken["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]["image"] = 3
    assert len(list(ray_schemas["RayCluster"].iter_errors(broken))) == 2


@pytest.mark.parametrize("name", [name for name, one in MANIFESTS.items() if one["kind"] not in RAY_KINDS])
def test_other_manifests_are_valid(name):
    kubernetes_validate.validate(MANIFESTS[name], KUBERNETES, strict=True)


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_pod_templates_are_valid_and_ask_for_no_privilege(name):
    template = TEMPLATES[name]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": template["spec"]}
    kubernetes_validate.validate(pod, KUBERNETES, strict=True)

    spec = template["spec"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    assert not any("hostPath" in volume for volume in spec.get("volumes", ()))
    for container in spec["containers"]:
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert not own.get("privileged")
        for kind in ("cpu", "memory"):
            assert container["resources"]["requests"][kind]
            assert container["resources"]["limits"][kind]
        repository, _, tag = container["image"].rpartition(":")
        assert repository
        assert tag not in ("", "latest")
        # Neither a registry nor an account of somebody: the user's own comes before it.
        assert "/" not in repository


@pytest.mark.parametrize("name", [name for name in sorted(TEMPLATES) if not name.endswith("submitter")])
def test_every_pod_that_stays_is_probed(name):
    for container in TEMPLATES[name]["spec"]["containers"]:
        ports = {port["name"] for port in container["ports"]} | {52365}
        for kind in ("readinessProbe", "livenessProbe"):
            probe = container[kind].get("httpGet") or container[kind]["tcpSocket"]
            assert probe["port"] in ports


def test_probes_ask_what_ray_answers_without_a_token():
    from ray.dashboard.http_server_agent import PUBLIC_EXACT_PATHS

    head = CLUSTERS["raycluster.yaml:RayCluster"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    worker = CLUSTERS["raycluster.yaml:RayCluster"]["workerGroupSpecs"][0]["template"]["spec"]["containers"][0]
    assert head["livenessProbe"]["httpGet"]["path"] in PUBLIC_EXACT_PATHS
    assert worker["readinessProbe"]["httpGet"]["path"] in PUBLIC_EXACT_PATHS
    assert head["readinessProbe"]["httpGet"]["path"] == "/api/gcs_healthz"


@pytest.mark.parametrize("name", RAY_CLUSTERS)
def test_the_head_carries_no_work_and_every_node_shows_the_token(name):
    import ray

    cluster = CLUSTERS[name]
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["rayVersion"] == ray.__version__
    assert cluster["enableInTreeAutoscaling"]
    for group in cluster["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    # The second autoscaler never starts a pod again: what comes back is another node.
    assert cluster["autoscalerOptions"]["version"] == "v2"
    assert {group["template"]["spec"]["restartPolicy"] for group in groups(cluster)} == {"Never"}


@pytest.mark.parametrize("name", ["raycluster.yaml:RayCluster", "rayservice.yaml:RayService"])
def test_a_cluster_that_stays_survives_its_head(name):
    tables, redis = CLUSTERS[name]["gcsFaultToleranceOptions"], MANIFESTS["redis.yaml:StatefulSet"]
    host, port = tables["redisAddress"].split(":")
    service = MANIFESTS["redis.yaml:Service"]
    assert (host, int(port)) == (service["metadata"]["name"], service["spec"]["ports"][0]["port"])
    assert service["spec"]["selector"] == redis["spec"]["template"]["metadata"]["labels"]
    password = redis["spec"]["template"]["spec"]["containers"][0]["env"][0]
    assert tables["redisPassword"]["valueFrom"] == password["valueFrom"]


def test_groups_of_one_name_are_the_same_pods_everywhere():
    by_name = {}
    for cluster in CLUSTERS.values():
        for group in cluster["workerGroupSpecs"]:
            by_name.setdefault(group["groupName"], []).append(group["template"])
    assert {"data", "generators", "training"} <= set(by_name)
    assert all(template == found[0] for found in by_name.values() for template in found)
    heads = [cluster["headGroupSpec"] for name, cluster in CLUSTERS.items() if "RayService" not in name]
    assert all(head == heads[0] for head in heads)
    wants = {name: found[0]["spec"]["containers"][0]["resources"]["limits"] for name, found in by_name.items()}
    assert "nvidia.com/gpu" not in wants["data"]
    assert int(wants["training"]["nvidia.com/gpu"]) > int(wants["generators"]["nvidia.com/gpu"]) >= 1


def test_every_pod_of_ray_has_the_storage_that_is_claimed():
    claim = MANIFESTS["storage.yaml:PersistentVolumeClaim"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    for cluster in CLUSTERS.values():
        for group in groups(cluster):
            spec = group["template"]["spec"]
            claims = {v["name"]: v.get("persistentVolumeClaim", {}).get("claimName") for v in spec["volumes"]}
            (mounted,) = [m["name"] for m in spec["containers"][0]["volumeMounts"] if m["mountPath"] == "/shared"]
            assert claims[mounted] == claim["metadata"]["name"]


def test_every_pod_of_ray_can_do_with_and_without_credentials_of_an_object_store():
    for cluster in CLUSTERS.values():
        for group in groups(cluster):
            (source,) = group["template"]["spec"]["containers"][0]["envFrom"]
            assert source == {"secretRef": {"name": "resp-agent-storage", "optional": True}}


def test_the_service_names_the_application_and_its_secret():
    service = MANIFESTS["rayservice.yaml:RayService"]["spec"]
    served = yaml.safe_load(service["serveConfigV2"])
    (application,) = served["applications"]
    assert application["import_path"] == "actors.serving.app:application"
    # The application takes these arguments and no others.
    assert Arguments(**application["args"]).run == "/shared/runs/curriculum"
    assert service["excludeHeadPodFromServeSvc"]
    for group in groups(CLUSTERS["rayservice.yaml:RayService"]):
        environment = {one["name"]: one for one in group["template"]["spec"]["containers"][0]["env"]}
        assert environment["RESP_AGENT_TOKEN"]["valueFrom"]["secretKeyRef"]["name"] == "resp-agent-service"
    (worker,) = CLUSTERS["rayservice.yaml:RayService"]["workerGroupSpecs"]
    ports = {one["name"]: one["containerPort"] for one in worker["template"]["spec"]["containers"][0]["ports"]}
    assert ports["serve"] == served["http_options"]["port"]
