"""Weaving on a pretrained text model: the numbers of transformers' Longformer, and what every system promises."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import LongformerModel

from resp_agent.diagnoser.inputs import Example, Inputs, View
from resp_agent.diagnoser.systems import build
from resp_agent.diagnoser.text import read_tokenizer
from resp_agent.diagnoser.woven_longformer import WovenLongformer
from resp_agent.errors import UserError
from resp_agent.settings import DiagnoserSettings
from tests.diagnoser.systems.text_models import write_text_model

KINDS = ("longformer", "bert", "roberta")


@pytest.fixture(scope="module", params=KINDS)
def made(request, tmp_path_factory) -> tuple[WovenLongformer, Inputs]:
    return _make(tmp_path_factory.mktemp(request.param), request.param)


def _make(folder, kind: str, **changed) -> tuple[WovenLongformer, Inputs]:
    name = write_text_model(folder, kind)
    tokenizer = read_tokenizer(name)
    inputs = Inputs(20.0, 40, ("a", "b", "c"), ("s",), (0.0,) * 8, (1.0,) * 8, (5, 3, 2), (), 16, tokenizer=tokenizer)
    settings = DiagnoserSettings(text_model=name, text_tokens=16, window_ms=320.0)
    torch.manual_seed(0)
    model = build(replace(settings, **changed), inputs)
    assert isinstance(model, WovenLongformer)
    return model.eval(), inputs


def _example(frames: int, seed: int, text: tuple[int, ...] = (4, 5, 6)) -> Example:
    heard = np.random.default_rng(seed).standard_normal((frames, 8)).astype(np.float32)
    return Example(str(seed), heard, text, seed % 3, 0)


@torch.no_grad()
def test_numbers_are_those_of_transformers(tmp_path):
    model, inputs = _make(tmp_path, "longformer")
    example = _example(30, 1)
    batch = inputs.collate([View(_example(40, 2, (4,) * 9)), View(example)])
    reference = LongformerModel.from_pretrained(tmp_path).eval()
    # Both windows: 320 ms are 8 tokens of 40 ms, 4 to either side, as the folder's configuration has it.
    assert model.backbone.settings.reaches == (4, 4)
    words = reference.get_input_embeddings().weight
    tokens, _ = model.audio(batch.frames[1:, :30], torch.tensor([30]))
    heard = model.audio_norm(tokens[0]) + model.audio_type
    woven = torch.cat([words[:1], model.description[None], words[[4, 5, 6]], heard, words[2:3]])
    is_global = torch.zeros(len(woven), dtype=torch.long)
    # 30 frames of 20 ms are 15 tokens of 40 ms, of which every other one is an anchor of 80 ms.
    is_global[[0, 1, *range(5, 20, 2)]] = 1
    everything = torch.ones(1, len(woven), dtype=torch.long)
    states = reference(
        inputs_embeds=woven[None], attention_mask=everything, global_attention_mask=is_global[None]
    ).last_hidden_state[0]
    slow = model.head(torch.cat([states[0], states[5:20].mean(dim=0)]))
    torch.testing.assert_close(model.logits(batch)[1], slow, atol=1e-5, rtol=0)


@torch.no_grad()
def test_padding_and_neighbours_change_nothing(made):
    model, inputs = made
    short, long = View(_example(17, 1)), View(_example(40, 2, (4,) * 16))
    alone, batch = model.logits(inputs.collate([short])), inputs.collate([long, short])
    batch.frames[1, 17:], batch.text[1, 3:] = 100.0, 7
    torch.testing.assert_close(model.logits(batch)[1], alone[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_withheld_modalities_leave_numbers_finite(tmp_path, dtype):
    model, inputs = _make(tmp_path, "bert")
    example = _example(30, 1)
    views = [View(example, hear=hear, read=read) for hear in (True, False) for read in (True, False)]
    loss = model.to(dtype).train()(inputs.collate(views))
    loss.backward()
    assert loss.isfinite()
    gradients = {name: each.grad for name, each in model.named_parameters()}
    assert all(each is not None and each.isfinite().all() for each in gradients.values())


def test_every_parameter_is_trained_and_a_rule_is_learned(made):
    # Apart, because the fixture is shared.
    model, inputs = made
    state = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    rng = np.random.default_rng(0)
    for step in range(25):
        views = []
        for label in rng.integers(0, 3, 9):
            heard = rng.standard_normal((20, 8)).astype(np.float32)
            heard[:, label * 2] += 2
            views.append(View(Example("e", heard, (4, 5), int(label), 0)))
        loss = model.train()(inputs.collate(views))
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            assert [name for name, each in model.named_parameters() if not each.grad.abs().sum() > 0] == []
        optimizer.step()
    model.load_state_dict(state)
    model.eval()
    assert loss < 0.3


def test_positions_are_made_where_they_are_missing_and_refused_where_they_are_given(tmp_path):
    made, _ = _make(tmp_path / "bert", "bert")
    # 16 words, 20 audio tokens and 3 special ones; the text model has 24 positions.
    assert len(made.backbone.embeddings.position_embeddings.weight) == 39 + 2
    with pytest.raises(UserError, match="has 64 positions, and 83 are needed"):
        _make(tmp_path / "longformer", "longformer", text_tokens=60)
