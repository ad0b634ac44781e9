"""Text models: pretrained ones give what transformers gives; what cannot be used is refused."""

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from resp_agent.diagnoser.inputs import Inputs
from resp_agent.diagnoser.systems import build
from resp_agent.diagnoser.text import read_config, read_tokenizer
from resp_agent.errors import UserError
from resp_agent.settings import DiagnoserSettings
from tests.diagnoser.systems.text_models import write_text_model


def _inputs(model: str, text_tokens: int = 16) -> Inputs:
    numbers = (0.0,) * 4, (1.0,) * 4, (1, 1)
    text = {"tokenizer": read_tokenizer(model), "text_config": read_config(model)}
    return Inputs(20.0, 50, ("a", "b"), ("s",), *numbers, (), text_tokens, **text)


@pytest.mark.parametrize(
    ("system", "kind"),
    [
        ("bert", "bert"),
        ("roberta", "roberta"),
        ("longformer", "longformer"),
        ("longformer", "bert"),
        ("weaving", "bert"),
    ],
)
def test_a_stored_system_needs_its_text_model_no_more(tmp_path, system, kind):
    name = write_text_model(tmp_path, kind)
    inputs = _inputs(name)
    settings = DiagnoserSettings(system=system, text_model=name, text_tokens=16)
    state = build(settings, inputs).state_dict()
    shutil.rmtree(tmp_path)
    again = build(settings, inputs, weights_follow=True)
    again.load_state_dict(state)
    assert all(torch.equal(value, state[name]) for name, value in again.state_dict().items())


@torch.no_grad()
@pytest.mark.parametrize("kind", ["bert", "roberta", "longformer"])
def test_a_pretrained_text_model_gives_the_mean_of_its_states(tmp_path, kind):
    name = write_text_model(tmp_path, kind)
    inputs = _inputs(name)
    system = build(DiagnoserSettings(system=kind, text_model=name, text_tokens=16), inputs).eval()
    short, long = inputs.encode("a cough"), inputs.encode("wheeze and cough at night")
    assert short == (4, 5)
    batch = torch.tensor([[*short, 0, 0, 0], long])
    vectors = system.branch(_Text(batch, torch.tensor([2, 5])))
    reference = AutoModel.from_pretrained(tmp_path).eval()
    for vector, words in zip(vectors, (short, long), strict=True):
        more = {"global_attention_mask": torch.tensor([[1] + [0] * (len(words) + 1)])} if kind == "longformer" else {}
        states = reference(torch.tensor([[0, *words, 2]]), **more).last_hidden_state[0]
        torch.testing.assert_close(vector, states.mean(dim=0), atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_a_longformer_is_made_of_another_text_model(tmp_path, kind):
    name = write_text_model(tmp_path, kind)
    inputs = _inputs(name, 40)
    settings = DiagnoserSettings(system="longformer", text_model=name, text_tokens=40)
    branch = build(settings, inputs).eval().branch
    words = (4, 5, 6, 7)
    vector = branch(_Text(torch.tensor([words]), torch.tensor([4])))[0]
    states = AutoModel.from_pretrained(tmp_path).eval()(torch.tensor([[0, *words, 2]])).last_hidden_state[0]
    # Global projections begin as copies of the ordinary ones.
    torch.testing.assert_close(vector, states.mean(dim=0), atol=1e-5, rtol=0)
    longer = branch(_Text(torch.full((1, 40), 4), torch.tensor([40])))
    assert longer.isfinite().all()


def test_text_models_that_cannot_be_used_are_refused(tmp_path):
    name = write_text_model(tmp_path, "roberta")
    inputs = _inputs(name, 30)
    with pytest.raises(UserError, match="is a roberta, not a bert"):
        build(DiagnoserSettings(system="bert", text_model=name), inputs)
    with pytest.raises(UserError, match=r"at most 22 tokens, not 30"):
        build(DiagnoserSettings(system="roberta", text_model=name, text_tokens=30), inputs)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["encoder.layer.1.output.dense.bias"]
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=r"Missing key.*encoder\.layer\.1\.output\.dense\.bias"):
        build(DiagnoserSettings(system="roberta", text_model=name, text_tokens=16), inputs)


class _Text:
    def __init__(self, text: torch.Tensor, text_lengths: torch.Tensor):
        self.text, self.text_lengths = text, text_lengths
