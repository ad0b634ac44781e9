import csv
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.cluster.manifests import CLUSTER, ROOT

DOCKERFILE = (CLUSTER / "Dockerfile").read_text()


def pins(lock: str) -> dict[str, str]:
    """Package -> version of a lock file, in which each has at least one hash."""
    found = {}
    for block in re.split(r"\n(?=\w)", (CLUSTER / lock).read_text()):
        match = re.match(r"([\w.-]+)==([^\s;]+)", block)
        if match:
            assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block
            found[canonicalize_name(match[1])] = match[2]
        else:
            assert block.startswith("#"), block
    return found


def test_the_dockerfile_passes_hadolint():
    tool = Path(sys.executable).parent / "hadolint"
    said = subprocess.run([tool, "--no-color", CLUSTER / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout) == (0, ""), said.stdout + said.stderr


def test_the_image_is_built_on_cuda_and_runs_as_nobody_special():
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(r"nvidia/cuda:\d+\.\d+\.\d+-base-ubuntu\d\d\.\d\d", bases[-1])
    cuda = next(version for name, version in pins("requirements.lock").items() if name == "cuda-toolkit")
    # The libraries come with torch; of one major and minor version with the image, so one driver serves both.
    assert bases[-1].split(":")[1].split(".")[:2] == cuda.split(".")[:2]
    (user,) = re.findall(r"^USER (\d+):\d+$", DOCKERFILE, re.MULTILINE)
    assert f"--uid {user}" in DOCKERFILE
    manifest = (CLUSTER / "raycluster.yaml").read_text()
    assert set(re.findall(r"runAsUser: (\d+)", manifest)) == {user}


def test_what_is_copied_is_what_the_build_is_given():
    ignore = (CLUSTER / "Dockerfile.dockerignore").read_text().splitlines()
    given = {line[1:] for line in ignore if line.startswith("!")}
    copied = {
        word for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE) for word in line.split()[:-1]
    }
    assert ignore[0] == "*"
    assert copied == given
    assert all((ROOT / one).exists() for one in copied)
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    assert {one.split(".")[0] for one in packages} <= copied


def test_the_lock_file_holds_what_the_project_depends_on():
    locked = pins("requirements.lock")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for text in [*project["dependencies"], *project["optional-dependencies"]["av"]]:
        needed = Requirement(text)
        version = locked.get(canonicalize_name(needed.name))
        assert version is not None, f"{text} is not in the lock file: make it again, see cluster/README.md"
        assert needed.specifier.contains(version), f"{text} is locked to {version}: make the lock file again"
    # The build with CUDA, not the one for CPUs.
    assert "+" not in locked["torch"]
    assert any(name.startswith("nvidia-cudnn") for name in locked)
    assert pins("build.lock").items() <= locked.items() | {("wheel", pins("build.lock")["wheel"])}


@pytest.mark.parametrize("name", ["requirements.lock", "build.lock", "LICENCES.csv", "Dockerfile", "runtime_env.yaml"])
def test_where_packages_come_from_is_left_to_who_builds(name):
    text = (CLUSTER / name).read_text()
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links|--trusted-host|file://", text)


def test_the_licence_list_is_of_what_is_locked():
    with (CLUSTER / "LICENCES.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {canonicalize_name(row["package"]): row["version"] for row in rows} == pins("requirements.lock")
    assert [row["package"] for row in rows if row["licence"] in ("", "UNKNOWN", "not stated")] == ["cuda-toolkit"]
    # What binds those who pass it on: known, and told in cluster/README.md.
    copyleft = {row["package"] for row in rows if re.search(r"GPL|General Public", row["licence"])}
    told = (CLUSTER / "README.md").read_text()
    assert all(f"`{package}`" in told for package in copyleft), copyleft


def test_nothing_of_the_project_is_a_pickle():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert not [
        one for one in tracked if Path(one).suffix in (".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".bin", ".joblib")
    ]
    for path in (one for one in tracked if one.endswith(".py")):
        source = (ROOT / path).read_text()
        for call in re.findall(r"torch\.load\((?:[^()]|\([^()]*\))*\)", source):
            assert "weights_only=True" in call, f"{path}: {call}"


@pytest.mark.parametrize(
    ("script", "code", "printed", "said"),
    [
        ('printf %s \'{"dependencies": []}\' > "$out"', 0, '{"dependencies": []}', ""),
        ('printf %s \'{"dependencies": ["bad"]}\' > "$out"; exit 1', 1, '{"dependencies": ["bad"]}', ""),
        ("echo no route to host >&2; exit 1", 0, "", "nothing was audited"),
    ],
    ids=["clean", "vulnerable", "offline"],
)
def test_the_audit_tells_findings_from_a_missing_network(tmp_path, script, code, printed, said):
    tool = tmp_path / "pip-audit"
    tool.write_text('#!/bin/bash\nwhile [ $# -gt 0 ]; do [ "$1" = --output ] && out=$2; shift; done\n' + script + "\n")
    tool.chmod(0o755)
    done = subprocess.run(
        [CLUSTER / "audit"], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (code, printed)
    assert said in done.stderr


@pytest.mark.slow
def test_the_install_steps_run_in_a_clean_environment(tmp_path):
    """As the image does it, but for the gigabytes of torch: what builds, what is built from source, and whether what
    is pinned can be had at all for the image's Python and platform."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    pip = [tmp_path / "venv" / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-cache-dir"]
    subprocess.run([*pip, "--require-hashes", "--requirement", CLUSTER / "build.lock"], check=True)
    blocks = re.split(r"\n(?=\w)", (CLUSTER / "requirements.lock").read_text())
    source = tmp_path / "source.lock"
    source.write_text("\n".join(block for block in blocks if block.startswith("deepspeed==")))
    exact = [*pip, "--no-deps", "--no-build-isolation", "--require-hashes"]
    subprocess.run([*exact, "--requirement", source], check=True, env=os.environ | {"DS_BUILD_OPS": "0"})
    small = tmp_path / "small.lock"
    small.write_text("\n".join(block for block in blocks if block.startswith(("ray==", "tyro==", "packaging=="))))
    subprocess.run([*exact, "--dry-run", "--requirement", small], check=True)
