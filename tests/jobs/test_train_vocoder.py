"""`train vocoder`: what it leaves, that it is the same on Ray, and that a generator can use it."""

import json
from pathlib import Path

import pytest

from jobs.ranked import parse
from jobs.train_generator import main as train_generator
from jobs.train_vocoder import COPIES, VocoderTraining, main
from resp_agent.errors import UserError

SMOKE = ("--preset", "smoke")
SHORT = ("--generator.vocoder.training.steps", "4", "--generator.vocoder.training.batch", "4")
TINY = ("--generator.vocoder.width", "16", "--generator.vocoder.inner", "32", "--generator.vocoder.layers", "1")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("vocoder") / "run"
    assert main([*SMOKE, *SHORT, *TINY, "--lab", "local", "--out", str(folder)]) == 0
    return folder


def summary(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text())


def weights(folder: Path) -> bytes:
    return (Path(summary(folder)["vocoder"]) / "vocos.safetensors").read_bytes()


def test_what_a_training_leaves(trained):
    told = summary(trained)["copies"]
    assert told.keys() == {"vocos", "griffin-lim"}
    # Four steps teach nothing; without weights a log-mel comes back.
    assert told["griffin-lim"]["log_mel_error"] < 0.4 < told["vocos"]["log_mel_error"]
    assert told["vocos"]["crackles"] == told["griffin-lim"]["crackles"] > 0
    assert 0 <= told["griffin-lim"]["onset_error_ms"] <= 30
    assert (trained / COPIES).read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in (trained / "tensorboard").iterdir()] == ["vocoder"]


def test_a_generator_uses_it(trained, tmp_path):
    folder = summary(trained)["vocoder"]
    flags = ["--generator.vocoder.kind", "vocos", "--generator.vocoder.trained", folder]
    assert train_generator([*SMOKE, *flags, "--lab", "local", "--out", str(tmp_path)]) == 0
    assert "vocoder" not in {path.name for path in Path(summary(tmp_path)["generator"]).iterdir()}


def test_it_is_complete_when_it_is_and_refuses_what_cannot_be(trained, capsys):
    assert main(["--resume", str(trained)]) == 0
    assert "is complete" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"batch of 16 does not divide.*--generator\.vocoder\.training\.batch"):
        parse(VocoderTraining, [*SMOKE, "--workers", "3"])


@pytest.mark.ray
@pytest.mark.slow
def test_one_rank_on_ray_comes_to_the_same_bits(small_ray, trained, tmp_path):
    assert main([*SMOKE, *SHORT, *TINY, "--out", str(tmp_path)]) == 0
    assert weights(tmp_path) == weights(trained)
