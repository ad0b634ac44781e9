"""The released planner's layout, against the release's outputs and transformers' own Qwen3."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from resp_agent.encoders.beats import load_beats
from resp_agent.errors import UserError
from resp_agent.generator.planner import choose
from resp_agent.generator.released_planner import END, UNIT
from resp_agent.generator.released_planner_files import import_planner, load_planner, save_planner
from tests.diagnoser.released_layout import make_beats
from tests.generator.released_planner_layout import PlannerSizes, make_planner

DISEASES = ["Asthma", "Pneumonia, of both lungs", "Flu"]


def _made(folder, sizes):
    make_beats(folder, sizes.seed)
    return make_planner(folder, sizes)


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return _made(tmp_path_factory.mktemp("planner"), PlannerSizes())


@pytest.fixture(scope="module")
def planner(release):
    return load_planner(release)


@pytest.fixture(scope="module")
def style(planner):
    return torch.randn(3, 21, planner.settings.feature_width, generator=torch.Generator().manual_seed(5))


@torch.inference_mode()
def _agree(folder, tolerance):
    planner, expected = load_planner(folder), load_file(folder / "planner_expected.safetensors")
    features = load_beats(folder / "beats_encoder.pt").features(expected["waveform"])
    embeds, real = planner.prompt_embeds(features, ["Asthma"])
    assert real.all()
    torch.testing.assert_close(embeds, expected["prompt_embeds"], atol=tolerance, rtol=0)
    logits = planner.prompt_logits(features, ["Asthma"])
    torch.testing.assert_close(logits, expected["prompt_logits"], atol=tolerance, rtol=0)
    known = expected["generated_ids"]
    assert torch.equal(planner.generated_ids(features, ["Asthma"], known.shape[1]), known)
    return planner


def test_reproduces_the_release(shared):
    planner = _agree(shared / "reference/released", 1e-3)
    assert planner.units == 64
    assert len(planner.prompt_ids("Asthma")) == 23


@pytest.mark.parametrize(
    "sizes",
    [
        PlannerSizes(),
        PlannerSizes(config="old", heads=3, key_heads=3, head_width=8, layers=1, theta=1e6, seed=2),
        PlannerSizes(config="none", theta=1e6, eps=1e-6, heads=6, key_heads=1, units=40, style_width=7, seed=3),
        PlannerSizes(tied=False, biased=True, audio_tokens=False, surrounded=False, width=16, seed=4),
        PlannerSizes(config="none", theta=1e6, eps=1e-6, tied=False, biased=True, layers=3, seed=5),
    ],
    ids=["as released", "older configuration", "no configuration", "bare tokenizer", "own head"],
)
def test_other_sizes_are_those_of_transformers(tmp_path, sizes):
    planner = _agree(_made(tmp_path, sizes), 1e-4)
    assert planner.units == sizes.units
    assert planner.settings.tie_word_embeddings == sizes.tied


def _without_a_cache(planner, style, disease, draws, temperature, top_p, least):
    """Units of one clip, the whole sequence passing the model and the whole vocabulary getting logits every time."""
    token = planner.tokenizer.token_to_id
    allowed = [*(token(UNIT.format(unit)) for unit in range(planner.units)), token(END)]
    embeds, _ = planner.prompt_embeds(style, [disease])
    units = []
    for step, draw in enumerate(draws):
        state = planner.model(inputs_embeds=embeds, use_cache=False).last_hidden_state[:, -1]
        logits = (state @ planner.model.embed_tokens.weight.T)[:, allowed].double().numpy()
        choices = logits if step >= least else logits[:, :-1]
        unit = int(choose(choices, np.array([draw]), temperature, top_p)[0])
        if unit == planner.units:
            break
        units.append(unit)
        embeds = torch.cat([embeds, planner.model.embed_tokens(torch.tensor([[allowed[unit]]]))], 1)
    return units


@pytest.mark.parametrize(
    ("temperature", "top_p", "least"), [(0.0, 1.0, 0), (1.0, 1.0, 0), (4.0, 0.9, 12), (4.0, 1, 30)]
)
@torch.inference_mode()
def test_units_are_those_of_a_plain_decoder_alone_and_in_a_batch(planner, style, temperature, top_p, least):
    draws = np.random.default_rng(3).random((3, 30))
    written = planner.write_units(style, DISEASES, draws, temperature, top_p, least)
    for row, disease in enumerate(DISEASES):
        given = (style[row : row + 1], disease, draws[row], temperature, top_p, least)
        assert written[row].tolist() == _without_a_cache(planner, *given)
        alone = planner.write_units(given[0], [disease], draws[row : row + 1], temperature, top_p, least)
        assert alone[0].tolist() == written[row].tolist()


def test_only_units_are_written_and_lengths_are_as_asked(planner, style):
    draws = np.random.default_rng(4).random((3, 40))
    free = planner.write_units(style, DISEASES, draws, temperature=8.0)
    assert len({len(units) for units in free}) > 1
    exact = planner.write_units(style, DISEASES, draws, temperature=8.0, least=40)
    assert [len(units) for units in exact] == [40, 40, 40]
    for units in free + exact:
        assert ((units >= 0) & (units < planner.units)).all()
    assert len({tuple(units) for units in exact}) == 3
    assert [len(units) for units in planner.write_units(style, DISEASES, draws[:, :0])] == [0, 0, 0]


@torch.inference_mode()
def test_greedy_tokens_end_and_rows_of_a_batch_are_those_of_each_alone(release, style):
    planner = load_planner(release)
    # [END] becomes likely, so that rows end at different times.
    planner.model.embed_tokens.weight[planner.end] *= 3
    ids = planner.generated_ids(style, DISEASES, 60)
    ends = []
    for row, disease in enumerate(DISEASES):
        alone = planner.generated_ids(style[row : row + 1], [disease], 60)[0].tolist()
        ends.append(len(alone))
        assert ids[row].tolist() == alone + [planner.padding] * (ids.shape[1] - len(alone))
        assert planner.end not in alone[:-1]
    assert min(ends) < 60


def test_a_disease_cannot_smuggle_in_a_token_and_sequences_have_a_longest(planner, style):
    for name in ("[AUDIO_3]", "[END]", "[BEATs_12]", "[DIAGNOSIS]"):
        with pytest.raises(UserError, match="names a token of the planner"):
            planner.prompt_ids(f"Asthma {name}")
    with pytest.raises(UserError, match=r"tokens are more than the 256 that the planner holds"):
        planner.write_units(style, DISEASES, np.zeros((3, 250)))


@torch.inference_mode()
def test_saved_and_loaded_it_gives_the_same_bits(tmp_path):
    release = _made(tmp_path, PlannerSizes(audio_tokens=False))
    planner, ignored = import_planner(release / "planner.pth", release / "planner_tokenizer")
    assert ignored == {"lm_head.weight": "the same as model.embed_tokens.weight"}
    save_planner(planner, tmp_path / "out")
    again = load_planner(tmp_path / "out")
    assert again.settings == planner.settings
    style = torch.randn(1, 9, planner.settings.feature_width)
    assert torch.equal(again.prompt_logits(style, ["Asthma"]), planner.prompt_logits(style, ["Asthma"]))
    assert not [name for name, value in [*again.named_parameters(), *again.named_buffers()] if value.is_meta]
    (tmp_path / "out/planner.safetensors").write_bytes((release / "planner_expected.safetensors").read_bytes())
    with pytest.raises(UserError, match="does not tell the sizes of a planner"):
        load_planner(tmp_path / "out")


def _config(**changes):
    return lambda held: held["config"].update(changes)


def _tensor(name, value):
    return lambda held: held["model_state_dict"].update({name: value})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda held: held["model_state_dict"].pop("style_proj.2.bias"), r"Missing key.*style_proj\.2\.bias"),
        (lambda held: held["model_state_dict"].pop("model.embed_tokens.weight"), r"it has no model\.embed_tokens"),
        (_tensor("extra", torch.zeros(1)), "Unexpected key.*extra"),
        (_tensor("lm_head.weight", torch.zeros(3)), r"another lm_head\.weight than model\.embed_tokens\.weight"),
        (_tensor("style_proj.0.weight", torch.zeros(3)), "its style projection is no matrix"),
        (_tensor("model.norm.weight", torch.full((24,), torch.inf)), r"not finite in model\.norm\.weight"),
        (lambda held: held.pop("model_state_dict"), "has no model_state_dict"),
        (lambda held: held.update(config=[]), "holds a list as config"),
        (_config(hidden_size=32), "size mismatch for model.embed_tokens.weight"),
        (_config(num_hidden_layers=3), r"Missing key.*model\.layers\.2"),
        (_config(model_type="llama"), "its model_type is 'llama'"),
        (_config(hidden_act="relu"), "its hidden_act is 'relu'"),
        (_config(use_sliding_window=True), "its use_sliding_window is True"),
        (_config(rope_parameters={"rope_type": "yarn", "rope_theta": 1e4}), "rotary positions are scaled"),
        (_config(rope_scaling={"type": "linear"}), "rotary positions are scaled"),
        (_config(num_attention_heads="4"), "num_attention_heads '4' of a planner is no int"),
        (_config(num_key_value_heads=3), "4 heads of queries do not divide into 3"),
        (_config(rms_norm_eps=0.0), "rms_norm_eps 0.0 of a planner is not above 0"),
    ],
)
def test_what_is_not_whole_is_refused(release, tmp_path, change, sentence):
    held = torch.load(release / "planner.pth", weights_only=True)
    held["model_state_dict"] = dict(held["model_state_dict"])
    change(held)
    torch.save(held, tmp_path / "planner.pth")
    with pytest.raises(UserError, match=sentence) as problem:
        import_planner(tmp_path / "planner.pth", release / "planner_tokenizer")
    assert str(problem.value).startswith(str(tmp_path / "planner.pth"))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda told: told["added_tokens"].append(told["added_tokens"][-1] | {"id": 283, "content": "[BEATs_13]"}),
            "the tokenizer has 284 tokens and the planner 283: give its own",
        ),
        (lambda told: told["added_tokens"].pop(3), r"the tokenizer has no \[END\]"),
        (lambda told: told["model"]["vocab"].update({f"word{word}": 900 + word for word in range(9)}), "give its own"),
    ],
)
def test_another_tokenizer_is_refused(release, tmp_path, change, sentence):
    told = json.loads((release / "planner_tokenizer/tokenizer.json").read_text())
    change(told)
    (tmp_path / "tokenizer.json").write_text(json.dumps(told))
    with pytest.raises(UserError, match=sentence):
        import_planner(release / "planner.pth", tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match="is not a tokenizer"):
        import_planner(release / "planner.pth", tmp_path)
    with pytest.raises(UserError, match=r"absent is not there"):
        import_planner(release / "planner.pth", tmp_path / "absent")


def test_code_in_a_checkpoint_is_never_run_and_the_tokenizer_is_looked_for(release, tmp_path):
    class Evil:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    torch.save({"model_state_dict": Evil()}, tmp_path / "planner.pth")
    with pytest.raises(UserError, match="not a checkpoint of plain tensors"):
        import_planner(tmp_path / "planner.pth", release / "planner_tokenizer")
    assert not (tmp_path / "ran").exists()
    with pytest.raises(UserError, match="no planner_tokenizer or tokenizer beside"):
        load_planner(tmp_path)
