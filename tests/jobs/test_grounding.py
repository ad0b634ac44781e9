"""`train grounding`, `ground` and `benchmark grounding`: killed trainings, what is printed and written, refusals."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file

from jobs import benchmark, ground, train_grounding
from resp_agent.corpus.resolve import resolve_corpus
from resp_agent.corpus.schema import SAMPLE_RATE_HZ
from resp_agent.diagnoser.grounding import Grounder, load_grounding, save_grounding
from resp_agent.diagnoser.grounding_training import GroundingLearner, settings_of
from resp_agent.diagnoser.inputs import Inputs
from resp_agent.diagnoser.stored import write_settings
from resp_agent.diagnoser.systems import build
from resp_agent.encoders.cache import open_cache
from resp_agent.errors import UserError
from resp_agent.settings import TrainingSettings, smoke
from resp_agent.settings.grounding import GroundingSettings
from resp_agent.training.checkpoints import digests, write_whole
from resp_agent.training.engine import AVERAGED

SETTINGS = smoke()
SHORT = GroundingSettings(training=TrainingSettings(steps=5, batch=4, checkpoint_every=2))
FLAGS = ["--grounding.training.steps", "5", "--grounding.training.batch", "4"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return resolve_corpus(SETTINGS, tmp_path_factory.mktemp("grounding") / "corpus")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return open_cache(tmp_path_factory.mktemp("features"), SETTINGS.diagnoser.encoder, SETTINGS.audio)


def _diagnoser(folder: Path, corpus, cache, **sizes) -> Path:
    """A diagnoser as a training leaves it, with random weights."""
    settings = replace(SETTINGS, diagnoser=replace(SETTINGS.diagnoser, **sizes))
    cache.ensure(corpus, ("train",))
    names = corpus.labels, corpus.styles
    inputs = Inputs.fit(corpus.descriptions("train"), cache.frames, *names, settings.diagnoser, 20.0, 1.0)
    torch.manual_seed(3)
    model = build(settings.diagnoser, inputs)

    def write(partial: Path) -> None:
        inputs.save(partial)
        write_settings(partial, settings)
        save_file(model.state_dict(), partial / AVERAGED)

    write_whole(folder, write, {"step": 0, "temperature": 1.0})
    return folder


class Killed(Exception):
    """Stands for a process that dies."""


def test_a_killed_training_comes_to_the_same_weights(corpus, cache, tmp_path):
    GroundingLearner(SETTINGS, SHORT, corpus, cache).train(tmp_path / "whole")

    def kill(news: dict) -> None:
        if news["step"] == 3:
            raise Killed

    with pytest.raises(Killed):
        GroundingLearner(SETTINGS, SHORT, corpus, cache).train(tmp_path / "killed", kill)
    steps = []
    GroundingLearner(SETTINGS, SHORT, corpus, cache).train(tmp_path / "killed", lambda news: steps.append(news["step"]))
    assert steps == [3, 4, 5]
    assert (tmp_path / "killed" / AVERAGED).read_bytes() == (tmp_path / "whole" / AVERAGED).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed", "whole"]

    other = replace(SHORT, mixed_share=0.1)
    with pytest.raises(UserError, match="other settings"):
        GroundingLearner(SETTINGS, other, corpus, cache).train(tmp_path / "whole")


def test_it_starts_from_the_diagnoser_and_leaves_it_as_it_is(corpus, cache, tmp_path):
    folder = _diagnoser(tmp_path / "diagnoser", corpus, cache, width=16, alignment=1.0)
    before, weights = digests(folder), load_file(folder / AVERAGED)
    still = replace(SHORT, training=TrainingSettings(steps=1, batch=4, learning_rate=1e-9, averaging=0.0))
    settings = settings_of(SETTINGS, folder)
    assert settings.diagnoser.width == 16
    found = GroundingLearner(settings, still, corpus, cache, folder).train(tmp_path / "grounder")
    kept = [name for name in weights if not name.startswith(("words", "head", "adversary"))]
    assert len(kept) > 20
    for name in kept:
        torch.testing.assert_close(found.model.woven.state_dict()[name], weights[name], atol=1e-6, rtol=0)
    assert digests(folder) == before

    deaf = _diagnoser(tmp_path / "deaf", corpus, cache, system="lstm")
    with pytest.raises(UserError, match="cannot start from"):
        GroundingLearner(settings_of(SETTINGS, deaf), SHORT, corpus, cache, deaf)


@pytest.fixture(scope="module")
def model(corpus, cache, tmp_path_factory) -> Path:
    """The folder of a grounder with random weights that knows crackles."""
    learner = GroundingLearner(SETTINGS, SHORT, corpus, cache)
    torch.manual_seed(4)
    grounder = Grounder(SETTINGS.diagnoser, learner.inputs)

    def write(partial: Path) -> None:
        save_file(grounder.state_dict(), partial / AVERAGED)
        save_grounding(partial, learner.inputs, SETTINGS, ("crackles",))

    folder = tmp_path_factory.mktemp("grounder")
    write_whole(folder / "model", write, {})
    return folder


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("audio") / "one.wav"
    samples = 0.1 * np.random.default_rng(0).standard_normal(round(2.5 * SAMPLE_RATE_HZ))
    soundfile.write(path, samples, SAMPLE_RATE_HZ)
    return path


def test_a_file_is_asked_for_a_phrase(model, file, tmp_path, capsys):
    out, data = tmp_path / "one.png", tmp_path / "one.json"
    words = [str(file), "--phrase", "crackles at both bases", "--model", str(model), "--out", str(out)]
    assert ground.main([*words, "--json", str(data), "--top", "3"]) == 0
    printed = capsys.readouterr().out
    found = json.loads(data.read_text())
    assert len(found["seconds"]) == len(found["relevance"]) == 32
    peak = int(np.argmax(found["relevance"]))
    assert f"most relevant at {found['seconds'][peak]:.2f} s" in printed
    assert f"{found['relevance'][peak]:.3f}" in printed
    assert printed.count("█") > 0
    assert len([line for line in printed.splitlines() if line.startswith("  ") and "█" in line]) == 3
    assert out.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"--phrase": "no crackles"}, "words that are not known: no"),
        ({"--phrase": "stridor"}, "'stridor' was in no training recording"),
        ({"--model": "."}, "holds no grounder"),
        ({"file": "pyproject.toml"}, "cannot be used"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_a_sentence(model, file, change, sentence, capsys):
    given = {"file": str(file), "--phrase": "crackles", "--model": str(model)} | change
    words = [given.pop("file"), *(word for pair in given.items() for word in pair)]
    assert ground.main(words) == 2
    assert sentence in capsys.readouterr().err


def test_a_grounder_of_another_version_is_refused(model, tmp_path):
    for name in ("inputs.json", AVERAGED):
        (tmp_path / name).write_bytes((model / "model" / name).read_bytes())
    (tmp_path / "grounder.json").write_text('{"taught": []}')
    with pytest.raises(UserError, match="another version"):
        load_grounding(tmp_path)


@pytest.mark.slow
def test_train_then_benchmark_in_one_folder(corpus, tmp_path, capsys):
    place = ["--preset", "smoke", "--corpus", str(corpus.path), "--out", str(tmp_path / "run")]
    assert benchmark.main(["grounding", *place, *FLAGS, "--figures", "2", "--json", str(tmp_path / "found.json")]) == 0
    printed = capsys.readouterr().out
    found = json.loads((tmp_path / "found.json").read_text())
    assert {"crackles", "wheezes"} <= set(found["sounds"])
    for name in ("crackles", "wheezes"):
        sound = found["sounds"][name]
        assert 0 < sound["chance"] < 1
        assert 0 <= sound["without_event_times"]["hit"] <= 1
        held = [one for one in corpus.descriptions("test") if any(e.kind in sound["kinds"] for e in one.events)]
        assert sound["recordings"] == len(held)
        assert f"{sound['hit']:.3f}" in printed
    assert sorted(path.name[:11] for path in (tmp_path / "run" / "figures").iterdir()) == [
        "01-crackles",
        "02-wheezes-",
        "pointing.pn",
    ]
    before = (tmp_path / "run" / "model" / AVERAGED).read_bytes()
    assert benchmark.main(["grounding", *place, *FLAGS, "--json", str(tmp_path / "again.json")]) == 0
    assert json.loads((tmp_path / "again.json").read_text())["sounds"] == found["sounds"]
    assert (tmp_path / "run" / "model" / AVERAGED).read_bytes() == before
    capsys.readouterr()
    assert train_grounding.main([*place[:4], "--out", str(tmp_path / "alone"), *FLAGS]) == 0
    assert "resp-agent ground FILE" in capsys.readouterr().out
    assert load_grounding(tmp_path / "alone").taught == load_grounding(tmp_path / "run").taught


@pytest.mark.parametrize(
    "change",
    [
        {"mixed_share": 1.5},
        {"noise_share": -0.1},
        {"response_db": -1.0},
        {"training": TrainingSettings(validate_every=10)},
    ],
)
def test_settings_that_cannot_be_are_refused(change):
    with pytest.raises(UserError):
        replace(SHORT, **change)
