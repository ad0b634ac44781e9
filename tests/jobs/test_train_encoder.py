"""Pretraining as a job: a stem that a diagnoser takes, and the same one wherever the training was ended."""

import os

import pytest
from safetensors.torch import load_file

from jobs.train_encoder import main
from resp_agent.curriculum.beacon import Beacon
from resp_agent.diagnoser.pretraining import STEM
from resp_agent.diagnoser.stored import load_diagnoser
from resp_agent.errors import UserError
from resp_agent.settings import PretrainingSettings

OPTIONS = ["--preset", "smoke", "--diagnoser.audio-stem", "conformer", "--pretraining.crop-s", "0.5"]
OPTIONS += ["--pretraining.training.batch", "8", "--pretraining.training.checkpoint-every", "4"]
OPTIONS += ["--pretraining.training.steps", "12"]


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A pretraining that nothing disturbed."""
    folder = tmp_path_factory.mktemp("encoder")
    shared = ["--first", str(folder / "first")]
    assert main(["--out", str(folder / "run"), *shared, *OPTIONS]) == 0
    return folder


def test_a_diagnoser_starts_from_the_stem(pretrained):
    from jobs.train_diagnoser import main as train

    stem = pretrained / "run" / "encoder" / STEM
    out = pretrained / "diagnoser"
    options = ["--preset", "smoke", "--lab", "local", "--diagnoser.audio-stem", "conformer"]
    options += ["--diagnoser.stem-weights", str(stem), "--diagnoser.training.learning-rate", "1e-9"]
    assert train(["--out", str(out), "--first", str(pretrained / "first"), *options]) == 0
    model, _, _ = load_diagnoser(out / "model")
    kept = dict(model.named_parameters())
    for name, value in load_file(stem).items():
        matching = [parameter for known, parameter in kept.items() if known.endswith(name)]
        assert any((parameter - value).abs().max() < 1e-4 for parameter in matching), name


class Killed(BaseException):
    """Ends a training where it stands: what it leaves are its files."""


@pytest.mark.parametrize("stop", [3, 5, 8, 9])
def test_a_pretraining_that_ends_anywhere_goes_on_to_the_same_weights(pretrained, monkeypatch, stop):
    out = pretrained / f"ended-{stop}"
    told = Beacon.at

    def at(beacon, phase, **where):
        told(beacon, phase, **where)
        if where.get("step") == stop:
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Beacon, "at", at)
        with pytest.raises(Killed):
            main(["--out", str(out), "--first", str(pretrained / "first"), *OPTIONS])
    assert not (out / "encoder").exists()
    assert main(["--resume", str(out)]) == 0
    ours, theirs = (load_file(folder / "encoder" / STEM) for folder in (out, pretrained / "run"))
    assert all((ours[name] == theirs[name]).all() for name in theirs)


def test_a_finished_pretraining_is_not_done_again(pretrained, capsys):
    before = os.stat(pretrained / "run" / "encoder" / STEM).st_mtime_ns
    assert main(["--resume", str(pretrained / "run")]) == 0
    assert "complete" in capsys.readouterr().out
    assert os.stat(pretrained / "run" / "encoder" / STEM).st_mtime_ns == before


def test_what_cannot_be_is_refused(tmp_path, capsys):
    with pytest.raises(UserError, match="test split is for scores"):
        PretrainingSettings(splits=("test",))
    assert main(["--out", str(tmp_path / "short"), *OPTIONS, "--pretraining.crop-s", "0.01"]) == 2
    assert "shorter than an audio token" in capsys.readouterr().err
