"""The planner over pretrained models, against the plain models of transformers."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from resp_agent.curriculum.request import Request
from resp_agent.errors import UserError
from resp_agent.generator.language_planner import NOISE, LanguagePlanner
from resp_agent.generator.planner import choose
from resp_agent.generator.prompts import MASK
from resp_agent.generator.synthesizer import make_generator
from resp_agent.generator.training import train_generator
from resp_agent.settings import PlannerSettings, TrainingSettings
from tests.generator.language_models import (
    KINDS,
    SLOT_SIZE,
    UNITS,
    batch,
    make_model,
    plain_logits,
    planner,
    prompts,
    rows,
)
from tests.generator.made_up import settings, train_split


@pytest.fixture(scope="module", params=KINDS)
def folder(tmp_path_factory, request) -> Path:
    return make_model(tmp_path_factory.mktemp("model") / request.param, request.param)


@pytest.fixture(scope="module")
def llama(tmp_path_factory) -> Path:
    return make_model(tmp_path_factory.mktemp("model") / "llama")


@torch.inference_mode()
def test_the_loss_is_that_of_the_plain_model_with_a_larger_vocabulary(folder):
    made = planner(folder)
    given = batch(folder, 7)
    expected = []
    for row in range(3):
        units = [unit for unit in given.units[row].tolist() if unit >= 0]
        logits = plain_logits(made, folder, given, row, units[:-1])
        expected.append(functional.cross_entropy(logits, torch.tensor(units)))
    torch.testing.assert_close(made(given), torch.stack(expected).mean(), rtol=1e-4, atol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize(("temperature", "top_p", "guidance"), [(0.0, 1.0, 1.0), (1.0, 0.9, 1.0), (1.5, 1.0, 2.5)])
def test_units_are_those_of_plain_decoding(folder, temperature, top_p, guidance):
    made = planner(folder)
    given, draws = batch(folder), np.random.default_rng(1).random((3, 9))
    opening = np.array([[1, 2], [3, 4], [5, 6]])
    written = made.write(given, opening, draws, temperature, top_p, guidance)
    assert written.shape == (3, 11)
    assert (written < UNITS).all()
    assert (written[:, :2] == opening).all()
    untold = dataclasses.replace(given, label=torch.full((3,), 2))
    for row in range(3):
        units = opening[row].tolist()
        for draw in draws[row]:
            logits = [plain_logits(made, folder, one, row, units)[-1, :UNITS].double() for one in (given, untold)]
            mixed = guidance * logits[0] + (1 - guidance) * logits[1]
            units.append(int(choose(mixed[None].numpy(), np.array([draw]), temperature, top_p)[0]))
        assert written[row].tolist() == units


@torch.inference_mode()
def test_a_clip_is_the_same_in_any_batch(folder):
    made = planner(folder)
    draws, opening = np.random.default_rng(1).random((3, 12)), np.zeros((3, 0), np.int64)
    together = made.write(batch(folder), opening, draws, 1.0, 1.0, 2.0)
    for row in range(3):
        only = slice(row, row + 1)
        alone = made.write(rows(batch(folder), only), opening[only], draws[only], 1.0, 1.0, 2.0)
        np.testing.assert_array_equal(alone[0], together[row])


def test_label_narrative_and_style_are_heard(llama):
    made, opening = planner(llama), np.zeros((3, 0), np.int64)
    given, draws = batch(llama), np.random.default_rng(1).random((3, 30))
    plain = made.write(given, opening, draws, 1.0, 1.0)
    changes = {
        "label": given.label.roll(1),
        "words": given.words.roll(1, 0),
        "slots": given.slots.roll(1, 0),
    }
    for name, value in changes.items():
        assert (made.write(dataclasses.replace(given, **{name: value}), opening, draws, 1.0, 1.0) != plain).any(), name


def test_what_is_masked_is_not_read_and_bears_no_loss(llama):
    made = planner(llama)
    given = batch(llama, 7, torch.tensor([3, 0, 2]))
    changed = given.units.clone()
    changed[0, :3] = (changed[0, :3] + 1) % UNITS
    changed[2, :2] = (changed[2, :2] + 1) % UNITS
    torch.testing.assert_close(made(dataclasses.replace(given, units=changed)), made(given))
    other = given.units.clone()
    other[1, 0] = (other[1, 0] + 1) % UNITS
    assert not torch.isclose(made(dataclasses.replace(given, units=other)), made(given))
    made(given).backward()
    assert made.tokens.weight.grad[prompts(llama).added.index(MASK)].any()


def test_adapters_begin_as_the_model_train_little_and_are_merged(llama):
    pytest.importorskip("peft")
    whole, adapted = planner(llama), planner(llama, adapter_rank=4)
    adapted.style.load_state_dict(whole.style.state_dict())
    given = batch(llama, 7)
    torch.testing.assert_close(adapted(given), whole(given))
    adapted(given).backward()
    learned = {name for name, parameter in adapted.named_parameters() if parameter.grad is not None}
    assert {"tokens.weight", "style.0.weight"} <= learned
    assert all("lora_" in name for name in learned if name.startswith("body."))
    assert sum("lora_" in name for name in learned) == 2 * 7 * 2
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                parameter.add_(0.1 * torch.randn_like(parameter))
    assert not torch.isclose(adapted(given), whole(given), rtol=1e-3)
    whole.load_state_dict(adapted.merged(adapted.state_dict()))
    torch.testing.assert_close(adapted(given), whole(given), rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_lower_precision_leaves_positions_exact(llama):
    made = planner(llama)
    rates = made.body.rotary_emb.inv_freq.clone()
    made.bfloat16()
    assert made.tokens.weight.dtype == torch.bfloat16
    assert torch.equal(made.body.rotary_emb.inv_freq, rates)
    assert torch.isfinite(made(batch(llama, 7)))


def test_new_tokens_begin_near_text(llama):
    made = LanguagePlanner(PlannerSettings(), prompts(llama), SLOT_SIZE, llama)
    text = made.body.get_input_embeddings().weight
    gaps = (made.tokens.weight - text.mean(0)) / text.std(0)
    assert gaps.std().item() == pytest.approx(NOISE, rel=0.1)
    assert made.tokens.weight.shape == (len(prompts(llama).added), 32)


def test_what_cannot_plan_is_told_in_a_sentence(tmp_path, llama):
    with pytest.raises(UserError, match="no weights at"):
        prompts(tmp_path / "nothing")
    bare = make_model(tmp_path / "bare")
    (bare / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"has no tokenizer\.json"):
        prompts(bare)
    told = prompts(llama)

    def planner_of(folder, **changes):
        config = told.config | changes
        LanguagePlanner(PlannerSettings(), dataclasses.replace(told, config=config), SLOT_SIZE, folder)

    with pytest.raises(UserError, match="'vit' is no causal language model"):
        planner_of(llama, model_type="vit")
    with pytest.raises(UserError, match="knows no model of the kind 'magic'"):
        planner_of(llama, model_type="magic")
    with pytest.raises(UserError, match="holds no language model that can be read"):
        planner_of(tmp_path)
    with pytest.raises(UserError, match="lacks 9 tensors of a llama"):
        planner_of(llama, num_hidden_layers=3)
    for wrong in ({"adapter_rank": 4}, {"mask_prefix": 0.5}):
        with pytest.raises(UserError, match="are for a pretrained planner"):
            PlannerSettings(**wrong)


def test_adapters_without_peft_are_refused(llama, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(UserError, match=r"need the package peft.*--generator.planner.adapter-rank 0"):
        planner(llama, adapter_rank=2)


def test_more_than_the_model_holds_is_refused(llama):
    made, given = planner(llama), batch(llama)
    made.body.config.max_position_embeddings = 60
    with pytest.raises(UserError, match="more than the 60 that the language model holds"):
        made.write(given, np.zeros((3, 0), np.int64), np.zeros((3, 60)), 1.0, 1.0)


@pytest.mark.parametrize("adapter_rank", [0, 2])
def test_a_generator_plans_with_it_and_needs_the_model_no_more(tmp_path, adapter_rank):
    if adapter_rank:
        pytest.importorskip("peft")
    model, train = make_model(tmp_path / "model"), train_split()
    short = TrainingSettings(steps=4, batch=4, warmup=1, checkpoint_every=2)
    chosen = settings(
        planner=PlannerSettings(model=str(model), adapter_rank=adapter_rank, mask_prefix=0.5, training=short)
    )
    losses = []

    def end(news):
        losses.append(news["loss"])
        if len(losses) == 3:
            raise KeyboardInterrupt

    train_generator(chosen, train, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train_generator(chosen, train, tmp_path / "broken", log=end)
    train_generator(chosen, train, tmp_path / "broken")
    model.rename(tmp_path / "gone")
    asked = Request("asthma", "dull", 3, 7, "planned")
    clips, again = (make_generator(chosen, train, tmp_path / name).synthesize(asked) for name in ("whole", "broken"))
    assert [len(one.waveform) for one in clips] == [16_000] * 3
    for one, two in zip(clips, again, strict=True):
        np.testing.assert_array_equal(one.waveform, two.waveform)
