"""Weights are found by path, by name in a folder of weights, in a package, and else said to be missing."""

import pytest

from resp_agent import weights
from resp_agent.errors import UserError
from resp_agent.weights import FOLDERS, locate, locate_text_model


def test_finds_paths_and_names_in_the_folder_of_weights(tmp_path, monkeypatch):
    file = tmp_path / "whisper_tiny_en_encoder.safetensors"
    file.touch()
    assert locate(str(file)) == file
    monkeypatch.setenv(FOLDERS, f"/nowhere:{tmp_path}")
    assert locate("openai/whisper-tiny.en") == file
    assert locate(file.name) == file


def test_finds_what_a_package_holds(tmp_path, monkeypatch):
    package = tmp_path / "packed_model"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(weights.PACKAGED, "somebody/model", ("packed_model", "model"))
    assert locate("somebody/model") == package / "model"


def test_missing_weights_are_a_sentence_with_a_way_out(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"no weights at 'nothing.pt': give a file, a folder"):
        locate("nothing.pt")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=f"neither here nor to be had from the hub.*{FOLDERS}"):
        locate("somebody/absent-model")
    with pytest.raises(UserError, match=r"has no config\.json"):
        locate_text_model(str(tmp_path))
