import re
import shlex

import click
import pytest
import yaml

from jobs.train_generator import GeneratorTraining
from resp_agent.settings import preset
from tests.cluster.entrypoints import PARSERS, parse
from tests.cluster.manifests import CLUSTER, ROOT, read


def commands() -> list[str]:
    """Every command of the code blocks of the documents about clusters."""
    section = (ROOT / "README.md").read_text().split("\n## On a cluster\n")[1].split("\n## ")[0]
    found = []
    for text in (section, (CLUSTER / "README.md").read_text()):
        for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL):
            lines = block.replace("\\\n", " ").splitlines()
            found += [line.split(" #")[0].strip() for line in lines if line and not line.startswith("#")]
    return found


COMMANDS = commands()
RAY = [one for one in COMMANDS if re.match(r"(\w+=\S+ )*ray ", one)]
JOBS = [one.split(" -- ")[1] for one in COMMANDS if " -- python -m " in one]


@pytest.mark.parametrize("command", RAY)
def test_ray_has_the_flags_that_are_documented(command):
    from ray.scripts.scripts import cli

    words = [one for one in shlex.split(command.split(" -- ")[0]) if "=" not in one or one.startswith("-")]
    known, words = cli, words[1:]
    while isinstance(known, click.Group):
        known, words = known.commands[words[0]], words[1:]
    options = {name for parameter in known.params for name in parameter.opts if name.startswith("-")}
    given = {one.split("=")[0] for one in words if one.startswith("-")}
    assert given <= options | {"--help"}


def test_what_is_documented_starts_a_cluster_and_submits_to_it():
    assert any("ray start --head" in one for one in RAY)
    assert any("get-auth-token --generate" in one for one in COMMANDS)
    assert any("--runtime-env cluster/runtime_env.yaml" in one for one in RAY)


@pytest.mark.parametrize("command", JOBS)
def test_jobs_take_the_command_lines_that_are_documented(command, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    words = [one.replace("/shared/", f"{tmp_path}/") for one in shlex.split(command)]
    assert words[2] in PARSERS
    if "--trained" in words:
        from jobs.ranked import open_training

        open_training(GeneratorTraining(out=words[words.index("--trained") + 1], settings=preset("tiny")))
    parse(words)


@pytest.mark.parametrize("command", [one for one in COMMANDS if "kubectl" in one or "ray up" in one])
def test_files_that_are_documented_are_there(command):
    for path in re.findall(r"\bcluster/[\w.-]+", command):
        assert (ROOT / path).is_file(), path


def test_the_runtime_environment_is_one_and_installs_nothing():
    from ray.runtime_env import RuntimeEnv

    plain = read(CLUSTER / "runtime_env.yaml")[0]
    assert plain["working_dir"] == "."
    assert not {"pip", "uv", "conda", "image_uri"} & set(RuntimeEnv(**plain))


def test_the_launcher_takes_its_file_and_installs_nothing():
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = prepare_config(yaml.safe_load((CLUSTER / "ray-up.yaml").read_text()))
    validate_config(config)
    assert config["setup_commands"] == config["initialization_commands"] == []
    types = config["available_node_types"]
    assert types[config["head_node_type"]]["resources"] == {"CPU": 0}
    assert sum(one["max_workers"] for one in types.values()) == config["max_workers"]
    for command in config["head_start_ray_commands"] + config["worker_start_ray_commands"]:
        assert "ray start" not in command or "RAY_AUTH_MODE=token ray start" in command
    assert "/home/ray/.ray/auth_token" in config["file_mounts"]
