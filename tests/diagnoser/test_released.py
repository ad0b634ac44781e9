"""The released diagnoser's layout, against the release's outputs and transformers' own classifier."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from resp_agent.diagnoser.released_files import TOKENIZER, import_released, load_released, save_released
from resp_agent.encoders.beats import load_beats
from resp_agent.errors import UserError
from tests.diagnoser.released_layout import Sizes, make_release


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return make_release(tmp_path_factory.mktemp("release"), Sizes())


def _imported(folder):
    return import_released(folder / "diagnoser.pth", folder / "diagnoser_config.json", folder / "diagnoser_tokenizer")


@torch.inference_mode()
def _outputs(folder):
    """Masks and logits of a release's clips, and what is expected."""
    expected = load_file(folder / "diagnoser_expected.safetensors")
    texts = json.loads((folder / "diagnoser_texts.json").read_text())
    model, _ = _imported(folder)
    features = load_beats(folder / "beats_encoder.pt").features(model.clip(expected["waveform"]))
    return model.weave(texts), model.logits(features, texts), expected


def test_reproduces_the_release(shared):
    woven, logits, expected = _outputs(shared / "reference/released")
    assert torch.equal(woven.attention_mask, expected["attention_mask"])
    assert torch.equal(woven.global_attention_mask, expected["global_attention_mask"])
    torch.testing.assert_close(logits, expected["logits"], atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "sizes",
    [
        Sizes(),
        Sizes(slots=510, stride=4, seed=2, clips=1),
        Sizes(width=16, heads=4, windows=(32,), slots=33, stride=1, text_tokens=4, classes=16, clips=4, seed=3),
    ],
    ids=["features cropped", "features padded", "every slot an anchor"],
)
def test_other_sizes_are_those_of_transformers(tmp_path, sizes):
    folder = make_release(tmp_path, sizes)
    woven, logits, expected = _outputs(folder)
    assert torch.equal(woven.attention_mask, expected["attention_mask"])
    assert torch.equal(woven.global_attention_mask, expected["global_attention_mask"])
    torch.testing.assert_close(logits, expected["logits"], atol=1e-5, rtol=0)


def test_saved_and_loaded_it_gives_the_same_bits(release, tmp_path):
    model, ignored = _imported(release)
    assert ignored == {
        "projection_layer_state_dict.weight": "the same as in model_state_dict",
        "projection_layer_state_dict.bias": "the same as in model_state_dict",
    }
    save_released(model, (release / "diagnoser_tokenizer" / TOKENIZER).read_text(), tmp_path)
    again = load_released(tmp_path)
    assert again.settings == model.settings
    assert again.settings.labels[:2] == ("class 0", "class 1")
    features = torch.randn(2, 496, model.settings.feature_width, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(again.logits(features, ["a cough", ""]), model.logits(features, ["a cough", ""]))
    shutil.copy(tmp_path / TOKENIZER, tmp_path / "diagnoser.safetensors")
    with pytest.raises(UserError, match="import it again"):
        load_released(tmp_path)


def test_ten_seconds_are_heard(release):
    model, _ = _imported(release)
    sound = torch.arange(1.0, 170_001)[None]
    assert torch.equal(model.clip(sound), sound[:, :160_000])
    short = model.clip(sound[:, :9_000])
    assert short.shape == (1, 160_000)
    assert torch.equal(short[:, :9_000], sound[:, :9_000])
    assert not short[:, 9_000:].any()


def test_gradients_reach_the_projection_of_audio(release):
    model, _ = _imported(release)
    model.train().requires_grad_(True)
    features = torch.randn(2, 496, model.settings.feature_width)
    model.logits(features, ["a cough", "a wheeze"]).square().sum().backward()
    assert model.projection_layer.weight.grad.abs().min() > 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda held: held["model_state_dict"].pop("classifier.dense.bias"), r"Missing key.*classifier\.dense\.bias"),
        (lambda held: held["model_state_dict"].update({"extra.weight": torch.zeros(1)}), r"Unexpected.*extra\.weight"),
        (lambda held: held["projection_layer_state_dict"]["bias"].add_(1), r"two different projection_layer\.bias"),
        (lambda held: held["model_state_dict"].pop("classifier.out_proj.weight"), r"does not tell .*out_proj"),
        (lambda held: held.pop("client_state"), "has no client_state"),
        (lambda held: held["client_state"]["label_mapping"].pop(3), "does not tell 3"),
        (lambda held: held.update({"model_state_dict": {"longformer.x": 3}}), "holds a int as longformer.x"),
    ],
)
def test_what_is_not_whole_is_refused(release, tmp_path, change, sentence):
    held = torch.load(release / "diagnoser.pth", weights_only=True)
    held = {**held, "model_state_dict": dict(held["model_state_dict"])}
    held["projection_layer_state_dict"] = {
        name: value.clone() for name, value in held["projection_layer_state_dict"].items()
    }
    change(held)
    torch.save(held, tmp_path / "diagnoser.pth")
    with pytest.raises(UserError, match=sentence):
        import_released(tmp_path / "diagnoser.pth", release / "diagnoser_config.json", release / "diagnoser_tokenizer")


def test_code_in_a_checkpoint_is_never_run(release, tmp_path):
    class Evil:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    torch.save({"model_state_dict": Evil()}, tmp_path / "diagnoser.pth")
    with pytest.raises(UserError, match="not a checkpoint of plain tensors"):
        import_released(tmp_path / "diagnoser.pth", release / "diagnoser_config.json", release / "diagnoser_tokenizer")
    assert not (tmp_path / "ran").exists()


def test_another_tokenizer_leaves_no_room_for_slots(release, tmp_path):
    told = json.loads((release / "diagnoser_tokenizer/tokenizer.json").read_text())
    told["model"]["vocab"] |= {f"word{number}": 1000 + number for number in range(300)}
    (tmp_path / TOKENIZER).write_text(json.dumps(told))
    with pytest.raises(UserError, match="no room for audio slots"):
        import_released(release / "diagnoser.pth", release / "diagnoser_config.json", tmp_path)
    (tmp_path / TOKENIZER).write_text("{}")
    with pytest.raises(UserError, match="is not a tokenizer"):
        import_released(release / "diagnoser.pth", release / "diagnoser_config.json", tmp_path)
