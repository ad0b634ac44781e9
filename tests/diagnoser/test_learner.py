"""The first training: killed anywhere it comes to the same, the best look is kept, every ZeRO stage trains."""

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from resp_agent.corpus.resolve import resolve_corpus
from resp_agent.curriculum.beacon import Beacon
from resp_agent.diagnoser.learner import Learner
from resp_agent.diagnoser.stored import SETTINGS, export, find_diagnoser, load_diagnoser, read_settings
from resp_agent.errors import CorruptCheckpoint, UserError
from resp_agent.settings import smoke, tiny
from resp_agent.threads import set_threads
from resp_agent.training.checkpoints import read_progress
from resp_agent.training.engine import AVERAGED


class Killed(Exception):
    """Stands for SIGKILL: whoever raises it leaves nothing but files."""


@pytest.fixture(scope="module")
def school(tmp_path_factory):
    """Makes learners on one small corpus."""
    set_threads(1)
    place = tmp_path_factory.mktemp("school")
    corpus = resolve_corpus(smoke(), place / "corpus")
    return lambda settings: Learner(settings, corpus.path, Beacon(place, "diagnoser-0"), place / "features")


def trained(**changed):
    return replaced(smoke(), **changed)


def replaced(settings, **changed):
    training = replace(settings.diagnoser.training, **changed)
    return replace(settings, diagnoser=replace(settings.diagnoser, training=training))


def weights(folder):
    return (folder / AVERAGED).read_bytes()


@pytest.mark.parametrize("training", [{}, {"validate_every": 2}], ids=["without looks", "with looks"])
def test_killed_at_any_step_it_resumes_to_identical_weights(school, tmp_path, training):
    settings = trained(steps=8, checkpoint_every=3, schedule="linear", **training)
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    school(settings).first_train(str(undisturbed))
    for last in range(1, 9):

        def strike(news, last=last):
            # Where there is a look, after it: its checkpoint is written and no other one knows of it.
            if news["step"] == last and ("macro_f1" in news or last % 2 or not training):
                raise Killed

        with pytest.raises(Killed):
            school(settings).first_train(str(killed), strike)
        assert read_progress(killed) is None
    school(settings).first_train(str(killed))
    assert weights(killed) == weights(undisturbed)
    assert read_progress(killed) == read_progress(undisturbed)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed", "undisturbed"]


def test_the_best_look_is_kept_and_no_gain_for_long_ends_the_training(school, tmp_path, monkeypatch):
    scores = iter([0.1, 0.3, 0.3, 0.2, 0.9])
    learner = school(trained(steps=20, validate_every=2, patience=2, checkpoint_every=100))
    told = []
    with monkeypatch.context() as patched:
        patched.setattr(
            learner, "_assess", lambda model, losses: SimpleNamespace(macro_f1=next(scores), temperature=1.5)
        )
        checkpoint = learner.first_train(str(tmp_path / "best"), told.append)
    progress = read_progress(tmp_path / "best")
    assert progress["looks"] == [[2, 0.1], [4, 0.3], [6, 0.3], [8, 0.2]]
    assert (progress["step"], len(progress["losses"]), progress["temperature"]) == (4, 8, 1.5)
    assert [news["step"] for news in told if "loss" in news] == list(range(1, 9))
    school(trained(steps=4)).first_train(str(tmp_path / "short"))
    assert weights(tmp_path / "best") == weights(tmp_path / "short")
    # Whoever goes on from it goes on from the best step, not from the last.
    assert learner.assess(checkpoint).losses == tuple(progress["losses"])
    assert torch.equal(
        learner._engine.averaged()["head.weight"], load_diagnoser(tmp_path / "best")[0].state_dict()["head.weight"]
    )


def test_every_zero_stage_and_bf16_train_the_tiny_model(school, tmp_path):
    losses = {}
    for stage, precision in ((0, "fp32"), (1, "fp32"), (2, "fp32"), (3, "fp32"), (2, "bf16")):
        settings = replace(replaced(smoke()), diagnoser=tiny().diagnoser)
        settings = replaced(settings, steps=4, batch=8, warmup=1, zero_stage=stage, precision=precision)
        folder = tmp_path / f"{stage}-{precision}"
        school(settings).first_train(str(folder))
        losses[stage, precision] = read_progress(folder)["losses"]
        assert load_diagnoser(folder)[0].head.weight.dtype == torch.float32
    assert all(math.isfinite(loss) for found in losses.values() for loss in found)
    for (_, precision), found in losses.items():
        np.testing.assert_allclose(found, losses[0, "fp32"], atol=1e-4 if precision == "fp32" else 0.05)
    assert losses[2, "bf16"] != losses[2, "fp32"]


@pytest.fixture(scope="module")
def stored(school, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored") / "first"
    learner = school(trained())
    return learner, learner.first_train(str(folder)), folder


def test_an_exported_diagnoser_needs_nothing_else(stored, tmp_path):
    learner, checkpoint, folder = stored
    export(folder, tmp_path / "model")
    assert sorted(path.suffix for path in (tmp_path / "model").iterdir()) == [".json"] * 4 + [".safetensors"]
    settings = read_settings(tmp_path / "model")
    assert (settings.diagnoser, settings.audio, settings.seed) == (smoke().diagnoser, smoke().audio, 0)
    model, inputs, temperature = load_diagnoser(tmp_path / "model")
    assert (inputs, temperature) == (learner.inputs, learner.assess(checkpoint).temperature)
    for name, value in learner._engine.averaged().items():
        assert torch.equal(model.state_dict()[name], value)
    assert find_diagnoser(tmp_path) == find_diagnoser(tmp_path / "model") == tmp_path / "model"


def test_what_is_no_diagnoser_is_refused_with_a_way_out(stored, tmp_path):
    _, _, folder = stored
    with pytest.raises(UserError, match=r"holds no diagnoser: give what `train diagnoser` printed"):
        find_diagnoser(tmp_path)
    with pytest.raises(UserError, match=r"has no readable diagnoser\.json"):
        load_diagnoser(tmp_path)
    export(folder, tmp_path / "model")
    (tmp_path / "model" / AVERAGED).unlink()
    with pytest.raises(UserError, match="holds no whole diagnoser"):
        load_diagnoser(tmp_path / "model")
    (tmp_path / "model" / SETTINGS).write_text(json.dumps({"diagnoser": {}}))
    with pytest.raises(UserError, match="written by another version"):
        load_diagnoser(tmp_path / "model")


def test_a_damaged_checkpoint_is_not_exported(stored, tmp_path):
    learner, _, _ = stored
    learner.first_train(str(tmp_path / "first"))
    (tmp_path / "first" / AVERAGED).write_bytes(b"")
    with pytest.raises(CorruptCheckpoint, match=AVERAGED):
        export(tmp_path / "first", tmp_path / "model")
