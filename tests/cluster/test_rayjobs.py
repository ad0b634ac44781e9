import shlex
from pathlib import Path
from subprocess import list2cmdline

import pytest

from jobs import options, ranked, tune
from jobs.options import SETTINGS
from jobs.ranked import RankedTraining
from jobs.runs import main as runs
from jobs.train_generator import GeneratorTraining
from resp_agent.errors import UserError
from resp_agent.settings import preset
from tests.cluster.entrypoints import branches, parse
from tests.cluster.manifests import manifests

JOBS = {name: one["spec"] for name, one in manifests().items() if one["kind"] == "RayJob"}
NAMES = sorted(JOBS)


@pytest.fixture(autouse=True)
def as_submitted(monkeypatch):
    """Relative paths are refused, as in a job on a cluster."""
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")


@pytest.fixture
def at(tmp_path):
    """Puts /shared of a command line into a folder of the test."""

    def moved(words):
        return [word.replace("/shared/", f"{tmp_path}/shared/") for word in words]

    return moved


def begin(job):
    """Leaves in the job's folder what it leaves there when it begins."""
    if isinstance(job, RankedTraining):
        ranked.open_training(job)
    elif isinstance(job, options.CurriculumJob):
        options.open_run(job)
    else:
        tune._begin(job, job.folder)


def test_there_is_one_for_each_kind_of_work():
    assert [name.removeprefix("rayjob-").removesuffix(".yaml:RayJob") for name in NAMES] == [
        "corpus", "curriculum", "synthesize", "train", "tune",
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_the_job_takes_its_entrypoint(name, at, tmp_path):
    if "synthesize" in name:
        generator = GeneratorTraining(out=f"{tmp_path}/shared/runs/generator", settings=preset("tiny"))
        ranked.open_training(generator)
    decides, commands = branches(JOBS[name]["entrypoint"])
    first = parse(at(commands[-1]))
    assert Path(first.out).is_relative_to(tmp_path / "shared")
    if decides:
        assert Path(decides).name == SETTINGS
        with pytest.raises(UserError, match="no run"):
            parse(at(commands[0]))
        begin(first)
        again = parse(at(commands[0]))
        # A retry goes on with the same work, in the same places.
        assert Path(again.resume) == Path(first.out) == Path(at([decides])[0]).parent
        assert again.settings == first.settings
        for place in ("place", "workers", "cpus", "gpus", "at_once", "trials", "seeds", "placement_timeout_s"):
            assert getattr(again, place, None) == getattr(first, place, None), place


@pytest.mark.parametrize("name", NAMES)
def test_entrypoints_reach_the_cluster_as_they_are(name):
    """KubeRay puts an entrypoint into a shell line; `ray job submit` joins its words again."""
    words = shlex.split(JOBS[name]["entrypoint"])
    assert shlex.split(list2cmdline(words)) == words
    assert not set("$`'\\") & set(JOBS[name]["entrypoint"])
    if words[0] != "bash":
        assert not set(";|&") & set(JOBS[name]["entrypoint"])


@pytest.mark.parametrize("name", NAMES)
def test_places_may_be_on_an_object_store(name, s3):
    def moved(words):
        return [word.replace("/shared/", f"{s3}/shared/") for word in words]

    if "synthesize" in name:
        ranked.open_training(GeneratorTraining(out=f"{s3}/shared/runs/generator", settings=preset("tiny")))
    decides, commands = branches(JOBS[name]["entrypoint"])
    first = parse(moved(commands[-1]))
    assert first.out.startswith(f"{s3}/shared/")
    if decides:
        with pytest.raises(UserError, match="no run"):
            parse(moved(commands[0]))
        # What cluster/README.md has in place of `test -f`.
        assert runs(["list", first.out]) != 0
        begin(first)
        assert runs(["list", first.out]) == 0
        again = parse(moved(commands[0]))
        assert again.resume == first.out
        assert again.settings == first.settings


def test_an_unknown_flag_is_found(at):
    _, (_, command) = branches(JOBS["rayjob-curriculum.yaml:RayJob"]["entrypoint"])
    with pytest.raises(SystemExit):
        parse([*at(command), "--generator-count", "3"])
    with pytest.raises(UserError, match="relative"):
        parse([word.replace("/shared/runs", "runs") for word in command])


@pytest.mark.parametrize("name", NAMES)
def test_jobs_are_tried_again_and_cleaned_up(name):
    spec = JOBS[name]
    assert spec["backoffLimit"] >= 1
    assert spec["shutdownAfterJobFinishes"]
    assert spec["ttlSecondsAfterFinished"] > 0
    # With a cluster that is chosen instead of made, KubeRay refuses both.
    assert "clusterSelector" not in spec
    assert spec["entrypointNumCpus"] >= 1


@pytest.mark.parametrize("name", NAMES)
def test_there_is_room_for_what_a_job_reserves(name, at, tmp_path):
    if "synthesize" in name:
        ranked.open_training(GeneratorTraining(out=f"{tmp_path}/shared/runs/generator", settings=preset("tiny")))
    job = parse(at(branches(JOBS[name]["entrypoint"])[1][-1]))
    bundles = []
    if isinstance(job, options.CurriculumJob):
        place = job.place
        bundles += [(place.generator_cpus, place.generator_gpus)] * place.generators
        bundles += [(place.diagnoser_cpus, place.diagnoser_gpus)] * place.diagnoser_workers
    else:
        count = getattr(job, "at_once", None) or job.workers
        bundles += [(job.cpus, getattr(job, "gpus", 0.0))] * count
    bundles.append((JOBS[name]["entrypointNumCpus"], 0.0))
    nodes = []
    for group in JOBS[name]["rayClusterSpec"]["workerGroupSpecs"]:
        limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
        size = float(limits["cpu"]), float(limits.get("nvidia.com/gpu", 0))
        nodes += [list(size) for _ in range(group["maxReplicas"])]
    # First fit, the widest first: one way to place everything at the same time.
    for cpus, gpus in sorted(bundles, key=lambda one: (-one[1], -one[0])):
        node = next((node for node in nodes if node[0] >= cpus and node[1] >= gpus), None)
        assert node is not None, f"{cpus} CPU and {gpus} GPU have no place"
        node[0] -= cpus
        node[1] -= gpus
