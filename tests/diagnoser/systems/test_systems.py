"""Every system: lengths respected, withheld modalities legal, all weights trained, rules learned, state saved."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from resp_agent.diagnoser.classifier import Batch, Classifier
from resp_agent.diagnoser.inputs import Example, Inputs, View
from resp_agent.diagnoser.systems import SYSTEMS, build, check_system
from resp_agent.errors import UserError
from resp_agent.published import published
from resp_agent.settings import DiagnoserSettings, EncoderSettings

BANDS = 8
INPUTS = Inputs(
    20.0, 50, ("a", "b", "c"), ("s",), (0.0,) * BANDS, (1.0,) * BANDS, (5, 3, 2), ("[UNK]", "x", "y", "z"), 16
)
SETTINGS = DiagnoserSettings(width=16, layers=1, heads=2, text_tokens=16)


def _settings(system: str) -> DiagnoserSettings:
    encoder = EncoderSettings("whisper", "none") if system == "whisper" else EncoderSettings()
    return replace(SETTINGS, system=system, encoder=encoder)


@pytest.fixture(params=SYSTEMS)
def system(request) -> str:
    return request.param


@pytest.fixture
def model(system: str) -> Classifier:
    return _model(system).eval()


def _model(system: str) -> Classifier:
    torch.manual_seed(0)
    return build(_settings(system), INPUTS)


def _example(frames: int, seed: int, text: int = 3) -> Example:
    rng = np.random.default_rng(seed)
    heard = rng.standard_normal((frames, BANDS)).astype(np.float32)
    return Example(str(seed), heard, tuple(rng.integers(0, 4, text).tolist()), seed % 3, 0)


def _batch(*views: View) -> Batch:
    return INPUTS.collate(list(views))


@torch.no_grad()
def test_padding_and_neighbours_change_nothing(model: Classifier):
    short, long = View(_example(17, 1, text=2)), View(_example(50, 2, text=9))
    alone, together = model.logits(_batch(short)), model.logits(_batch(long, short))
    torch.testing.assert_close(together[1], alone[0], atol=1e-5, rtol=0)
    padded = _batch(long, short)
    padded.frames[1, 17:] = 100.0
    padded.text[1, 2:] = 3
    torch.testing.assert_close(model.logits(padded)[1], alone[0], atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_system_knows_its_modalities_and_what_is_withheld(model: Classifier, system: str):
    modality = SYSTEMS[system].modality
    assert (model.hears, model.reads) == (modality != "text", modality != "audio")
    one, other = _example(30, 1), _example(30, 2)
    mixed = Example("m", other.frames, one.text, 0, 0)
    for kept, like, withheld in ((model.reads, one, {"hear": False}), (model.hears, other, {"read": False})):
        same, full = (model.logits(_batch(View(mixed, **keys))) for keys in (withheld, {}))
        torch.testing.assert_close(same, model.logits(_batch(View(like, **withheld))))
        assert kept != torch.allclose(same, model.logits(_batch(View(mixed, hear=False, read=False))))
        assert torch.equal(same, full) == (model.hears + model.reads == 1 and kept)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rows_with_nothing_leave_no_trace_in_gradients(model: Classifier, dtype: torch.dtype):
    example = _example(30, 1)
    batch = _batch(View(example, hear=False, read=False), View(example, hear=False), View(example, read=False))
    loss = model.to(dtype).train()(batch)
    loss.backward()
    assert loss.isfinite()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters() if parameter.grad is not None)


def test_every_parameter_is_trained(model: Classifier):
    model.train()(_batch(*(View(_example(50, seed, text=9)) for seed in range(4)))).backward()
    without = [name for name, each in model.named_parameters() if each.grad is None or not each.grad.abs().sum() > 0]
    assert without == []


def test_learns_a_rule_from_what_it_takes(system: str):
    for modality in (name for name in ("hears", "reads") if getattr(_model(system), name)):
        model, rng = _model(system).train(), np.random.default_rng(0)
        optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
        losses = []
        for _ in range(50):
            loss = model(_batch(*(_ruled(int(label), modality, rng) for label in rng.integers(0, 3, 12))))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        # Of two votes one cannot know: its loss stays at chance.
        unknowable = np.log(3) / 2 if "voting" in system else 0.0
        assert np.mean(losses[-5:]) < unknowable + 0.2, modality


def _ruled(label: int, modality: str, rng: np.random.Generator) -> View:
    """A label that is all in one modality; the other is withheld."""
    heard = rng.standard_normal((40, BANDS)).astype(np.float32)
    heard[:, label * 2] += 2
    text = rng.permutation([0, 0, label + 1, label + 1, label + 1])
    example = Example("e", heard, tuple(text.tolist()), label, 0)
    return View(example, hear=modality == "hears", read=modality == "reads")


@torch.no_grad()
def test_weights_outlive_a_file_and_a_seed_makes_the_same_ones(model: Classifier, system: str):
    state = model.state_dict()
    again = _model(system)
    assert all(torch.equal(value, state[name]) for name, value in again.state_dict().items())
    stored = load(save({name: value.contiguous() for name, value in state.items()}))
    for parameter in again.parameters():
        parameter.zero_()
    again.load_state_dict(stored)
    batch = _batch(View(_example(30, 1)))
    assert torch.equal(again.eval().logits(batch), model.logits(batch))


def test_whisper_takes_only_its_own_frames():
    with pytest.raises(UserError, match="not those of log-mel"):
        build(replace(SETTINGS, system="whisper"), INPUTS)
    with pytest.raises(UserError, match="no system 'nothing'"):
        check_system("nothing")


def test_the_systems_are_the_rows_of_the_published_tables():
    rows = [(line["system"], line["modality"]) for line in published("table6_7")]
    made = [(system.title, system.modality) for system in SYSTEMS.values()]
    # After them come the families of table 2.
    assert made[: len(rows)] == rows
    assert list(SYSTEMS)[len(rows) :] == ["resnet", "cnn6", "ast", "clap"]
