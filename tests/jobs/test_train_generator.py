"""`train generator`: the same generator in this process and on Ray, killed or not; what it leaves; what it refuses."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from jobs.ranked import parse
from jobs.train_diagnoser import DiagnoserTraining
from jobs.train_generator import CLIPS, GeneratorTraining, main, train
from resp_agent.curriculum.beacon import read_beacons
from resp_agent.errors import UserError
from resp_agent.randomness import stream

SMOKE = ("--preset", "smoke")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("generator") / "run"
    assert main([*SMOKE, "--lab", "local", "--out", str(folder)]) == 0
    return folder


def summary(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text())


def weights(folder: Path) -> dict[str, bytes]:
    made = Path(summary(folder)["generator"]) / "weights"
    return {path.name: path.read_bytes() for path in made.iterdir() if path.name != "digests.json"}


def test_what_a_training_leaves(trained):
    told = summary(trained)
    assert (told["content"], told["workers"], len(told["labels"]), len(told["styles"])) == ("planned", 1, 8, 5)
    assert (trained / CLIPS).read_bytes().startswith(b"\x89PNG")
    assert {"planner.safetensors", "flow.safetensors", "styles.json"} <= weights(trained).keys()
    assert {path.name for path in (trained / "tensorboard").iterdir()} == {"planner", "flow"}


def test_parts_are_told_as_they_learn(tmp_path, capsys):
    assert main([*SMOKE, "--generator.content", "exemplar", "--lab", "local", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "flow step 6/6  loss" in said
    assert "planner" not in said
    assert f"generator {Path(summary(tmp_path)['generator'])}" in said


def test_a_complete_training_is_not_done_again(trained, capsys):
    before = weights(trained)
    assert main(["--resume", str(trained)]) == 0
    assert "is complete" in capsys.readouterr().out
    assert weights(trained) == before


def test_what_cannot_be_trained_is_refused_before_anything_is_done(trained, tmp_path):
    with pytest.raises(UserError, match="the generator oracle learns nothing"):
        parse(GeneratorTraining, [*SMOKE, "--generator.kind", "oracle"])
    with pytest.raises(
        UserError, match=r"batch of 8 does not divide over 3 workers.*--generator\.flow\.training\.batch"
    ):
        parse(GeneratorTraining, [*SMOKE, "--workers", "3"])
    with pytest.raises(UserError, match="another kind: go on with it by `resp-agent train generator --resume`"):
        parse(DiagnoserTraining, ["--resume", str(trained)])
    with pytest.raises(UserError, match="holds a run already"):
        train(parse(GeneratorTraining, [*SMOKE, "--out", str(trained)]))


@pytest.mark.slow
def test_a_process_killed_at_a_random_step_goes_on_to_the_same_weights(trained, tmp_path):
    step = stream("tests", "train generator").integers(1, 12)
    command = [sys.executable, "-m", "tests.jobs.killed_training", str(step), "generator"]
    killed = subprocess.run([*command, *SMOKE, "--lab", "local", "--out", str(tmp_path)], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "summary.json").exists()
    assert main(["--resume", str(tmp_path), "--lab", "local"]) == 0
    assert weights(tmp_path) == weights(trained)


@pytest.mark.ray
@pytest.mark.slow
def test_one_rank_on_ray_comes_to_the_same_bits_though_it_is_killed(small_ray, trained, tmp_path):
    struck = []

    def strike():
        while not struck:
            beacon = read_beacons(tmp_path / "progress").get("generator-0", {})
            if beacon.get("phase") == "training flow" and beacon.get("step", 0) >= 2:
                os.kill(beacon["pid"], signal.SIGKILL)
                struck.append(beacon)
            time.sleep(0.001)

    threading.Thread(target=strike, daemon=True).start()
    assert main([*SMOKE, "--out", str(tmp_path)]) == 0
    assert struck
    assert weights(tmp_path) == weights(trained)


@pytest.mark.ray
@pytest.mark.slow
def test_two_ranks_on_ray_agree_with_one(small_ray, trained, tmp_path):
    assert main([*SMOKE, "--workers", "2", "--out", str(tmp_path)]) == 0
    one, two = (
        load_file(Path(summary(folder)["generator"]) / "weights" / "flow.safetensors") for folder in (trained, tmp_path)
    )
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, atol=2e-4)
