"""`train diagnoser`: the same diagnoser in this process and on Ray, killed or not; what it leaves; what it refuses."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from ray.train import WorkerGroupError
from tensorboardX.proto.event_pb2 import Event

import jobs.train
from jobs.ranked import parse as parse_training
from jobs.ray_training import _sentence
from jobs.train_diagnoser import DiagnoserTraining, main, train
from resp_agent.curriculum.beacon import read_beacons
from resp_agent.diagnoser.stored import load_diagnoser
from resp_agent.errors import RunFailed, UserError
from resp_agent.randomness import stream
from resp_agent.training.engine import AVERAGED
from tests.jobs.conftest import TRAINING


def parse(argv):
    return parse_training(DiagnoserTraining, argv)


def weights(folder):
    return (folder / "model" / AVERAGED).read_bytes()


def summary(folder):
    found = json.loads((folder / "summary.json").read_text())
    return {name: value for name, value in found.items() if name not in ("seconds", "model", "workers")}


def events(folder):
    """Tag -> {step: value} of the TensorBoard events in a folder."""
    found = {}
    for path in sorted((folder / "tensorboard").iterdir()):
        data = path.read_bytes()
        while data:
            length = int.from_bytes(data[:8], "little")
            event = Event.FromString(data[12 : 12 + length])
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = value.simple_value
            data = data[16 + length :]
    return found


def test_what_a_training_leaves(trained):
    found = summary(trained)
    assert (found["steps_done"], len(found["losses"]), found["system"]) == (12, 12, "weaving")
    assert [step for step, _ in found["looks"]] == [4, 8, 12]
    best = max(score for _, score in found["looks"])
    assert found["valid"]["macro_f1"] == dict(found["looks"])[found["step"]] == best
    assert found["test"]["recordings"] == 40
    low, high = found["test"]["macro_f1_ci95"]
    assert low <= found["test"]["macro_f1"] <= high
    drawn = events(trained)
    np.testing.assert_allclose([drawn["train/loss"][step] for step in range(1, 13)], found["losses"], rtol=1e-6)
    assert drawn["train/learning_rate"][1] == pytest.approx(0.001)
    assert drawn["valid/macro_f1"] == {step: pytest.approx(score) for step, score in found["looks"]}
    assert (trained / "figures" / "confusion-test.png").read_bytes().startswith(b"\x89PNG")
    load_diagnoser(trained / "model")


def test_a_complete_training_is_not_done_again(trained, capsys):
    before = weights(trained)
    assert main(["--resume", str(trained)]) == 0
    assert "is complete" in capsys.readouterr().out
    assert weights(trained) == before


def test_a_folder_that_holds_a_training_is_not_trained_into(trained):
    with pytest.raises(UserError, match="holds a run already: go on with it by --resume"):
        train(parse([*TRAINING, "--out", str(trained)]))
    with pytest.raises(UserError, match=r"diagnoser\.training\.steps was 12 and is 13"):
        parse(["--resume", str(trained), "--diagnoser.training.steps", "13"])


def test_what_cannot_be_trained_is_refused_before_anything_is_done(tmp_path):
    with pytest.raises(UserError, match="batch of 8 does not divide over 3 workers"):
        parse(["--preset", "smoke", "--workers", "3"])
    with pytest.raises(UserError, match="in this process there is one rank, not 2"):
        parse(["--preset", "smoke", "--workers", "2", "--lab", "local"])
    with pytest.raises(UserError, match="holds no run to resume"):
        parse(["--resume", str(tmp_path)])


def test_the_verbs_of_train(capsys):
    assert jobs.train.main(["--help"]) == 0
    assert "diagnoser" in capsys.readouterr().out
    assert jobs.train.main(["nothing"]) == 2
    assert "there is no resp-agent train 'nothing': choose one of diagnoser" in capsys.readouterr().err


@pytest.mark.slow
def test_a_process_killed_at_a_random_step_goes_on_to_the_same_weights(trained, tmp_path):
    command = [
        sys.executable,
        "-m",
        "tests.jobs.killed_training",
        str(stream("tests", "train").integers(1, 12)),
        "diagnoser",
    ]
    killed = subprocess.run([*command, *TRAINING, "--lab", "local", "--out", str(tmp_path)], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "summary.json").exists()
    assert main(["--resume", str(tmp_path), "--lab", "local"]) == 0
    assert weights(tmp_path) == weights(trained)
    assert summary(tmp_path) == summary(trained)
    assert events(tmp_path)["train/loss"] == events(trained)["train/loss"]


@pytest.mark.ray
@pytest.mark.slow
def test_one_rank_on_ray_comes_to_the_same_bits_though_it_is_killed(small_ray, trained, tmp_path):
    """The rank is killed once while it trains, and is started again by Ray Train."""
    struck = []

    def strike():
        while not struck:
            beacon = read_beacons(tmp_path / "progress").get("diagnoser-0", {})
            if beacon.get("step", 0) >= 6:
                os.kill(beacon["pid"], signal.SIGKILL)
                struck.append(beacon)
            time.sleep(0.001)

    thread = threading.Thread(target=strike, daemon=True)
    thread.start()
    train(parse([*TRAINING, "--out", str(tmp_path)]))
    assert struck
    assert read_beacons(tmp_path / "progress")["diagnoser-0"]["pid"] != struck[0]["pid"]
    assert weights(tmp_path) == weights(trained)
    assert summary(tmp_path) == summary(trained)


@pytest.mark.ray
@pytest.mark.slow
def test_two_ranks_on_ray_agree_with_one(small_ray, trained, tmp_path, capsys):
    train(parse([*TRAINING, "--workers", "2", "--out", str(tmp_path)]))
    np.testing.assert_allclose(summary(tmp_path)["losses"], summary(trained)["losses"], atol=1e-4)
    assert "step 4/12" in capsys.readouterr().out


def test_what_a_rank_says_to_a_user_comes_through():
    sentence = RunFailed("the loss became nan")
    assert _sentence(WorkerGroupError("...", {1: ValueError("connection closed"), 0: sentence}), 3) is sentence
    wrapped = ValueError("in a worker")
    wrapped.__cause__ = sentence
    assert _sentence(WorkerGroupError("...", {0: wrapped}), 3) is sentence
    told = str(_sentence(WorkerGroupError("rank 0 died", {0: ValueError("it died")}), 3))
    assert told.startswith("the ranks failed (rank 0 died), and were started again 3 times: see the workers' logs")
