"""`diagnose`: files of any kind, one that is broken among them, to probabilities and moments."""

import json

import numpy as np
import pytest
import soundfile

from jobs.diagnose import main
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.schema import SAMPLE_RATE_HZ
from resp_agent.diagnoser.diagnosis import Diagnoser
from resp_agent.diagnoser.scoring import score, softmax
from resp_agent.diagnoser.stored import load_diagnoser
from resp_agent.encoders import make_encoder
from resp_agent.errors import UserError
from resp_agent.settings import smoke


@pytest.fixture(scope="module")
def recording(trained):
    return Corpus.open(next((trained / "first").glob("corpus-*"))).split("test")[0]


@pytest.fixture(scope="module")
def files(recording, tmp_path_factory):
    """A recording as its corpus has it; another of 2.5 s in stereo at 8 kHz, by the same name; one that is broken."""
    place = tmp_path_factory.mktemp("files")
    (place / "other").mkdir()
    soundfile.write(place / "one.wav", recording.waveform, SAMPLE_RATE_HZ)
    noise = np.random.default_rng(0).standard_normal((20_000, 2)) * 0.1
    soundfile.write(place / "other" / "one.flac", noise, 8_000)
    (place / "broken.wav").write_bytes(b"RIFF nothing")
    return [str(place / name) for name in ("one.wav", "broken.wav", "other/one.flac")]


def test_files_are_diagnosed_and_a_broken_one_is_named(trained, files, tmp_path, capsys):
    flags = ["--model", str(trained), "--json", str(tmp_path / "found.json"), "--out", str(tmp_path / "pictures")]
    assert main([*files, *flags]) == 1
    said = capsys.readouterr().out.splitlines()
    found = json.loads((tmp_path / "found.json").read_text())["files"]
    assert [entry["file"] for entry in found] == files
    one, broken, other = found
    assert set(broken) == {"file", "reason"}
    assert f"{files[1]}: {broken['reason']}" in said
    assert (one["windows"], other["windows"]) == (1, 3)
    for entry in (one, other):
        assert sum(entry["probabilities"].values()) == pytest.approx(1)
        assert entry["confidence"] == max(entry["probabilities"].values()) == entry["probabilities"][entry["label"]]
        found = entry["attribution"]
        assert sum(found["logit_change"]) == pytest.approx(found["logit"] - found["baseline_logit"], abs=1e-4)
        assert found["edges_s"][-1] == pytest.approx(entry["duration_s"])
        assert any(line.startswith(f"{entry['file']} (") and entry["label"] in line for line in said)
    pictures = sorted((tmp_path / "pictures").iterdir())
    assert [path.name for path in pictures] == ["one-2.png", "one.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)


def test_a_text_is_read_as_the_narrative_is_and_without_one_it_is_withheld(trained, recording):
    """The same numbers as scoring the corpus's own recording gives."""
    settings, (model, inputs, temperature) = smoke(), load_diagnoser(trained / "model")
    example = inputs.example(
        recording, make_encoder(settings.diagnoser.encoder, settings.audio).encode([recording.waveform])[0]
    )
    expected = softmax(score(model, inputs, [example]), temperature)[0]
    told = Diagnoser(trained / "model", recording.narrative)(recording.id, recording.waveform)
    np.testing.assert_allclose(list(told.probabilities.values()), expected, atol=1e-6)
    untold = Diagnoser(trained / "model")(recording.id, recording.waveform)
    assert untold.probabilities != told.probabilities
    assert untold.id == recording.id


def test_what_a_system_cannot_take_is_refused(trained, monkeypatch):
    monkeypatch.setattr("resp_agent.diagnoser.model.Weaving.reads", False)
    with pytest.raises(UserError, match="reads no text: leave out --text"):
        Diagnoser(trained / "model", "a cough")
    monkeypatch.setattr("resp_agent.diagnoser.model.Weaving.reads", True)
    monkeypatch.setattr("resp_agent.diagnoser.model.Weaving.hears", False)
    with pytest.raises(UserError, match="reads text alone: give --text"):
        Diagnoser(trained / "model")
    assert Diagnoser(trained / "model", "a cough")("id", np.zeros(16_000, np.float32)).attribution is None


def test_a_checkpoint_of_a_training_will_do_as_a_model(trained, files, capsys):
    checkpoint = next(path for path in (trained / "first").glob("diagnoser-*"))
    assert main([files[0], "--model", str(checkpoint)]) == 0
    told = capsys.readouterr().out
    assert main([files[0], "--model", str(trained / "model")]) == 0
    assert capsys.readouterr().out == told


def test_without_a_file_or_a_model_it_says_so(trained, tmp_path, capsys):
    assert main(["--model", str(trained)]) == 2
    assert "name at least one audio file" in capsys.readouterr().err
    assert main(["a.wav", "--model", str(tmp_path)]) == 2
    assert "holds no diagnoser" in capsys.readouterr().err
