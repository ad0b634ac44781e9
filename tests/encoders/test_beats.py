"""BEATs against the release's outputs and a slow plain version; its files; its frames over whole recordings."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from resp_agent.encoders.beats import (
    Beats,
    BeatsFeatures,
    BeatsSettings,
    BeatsTokenizer,
    BeatsUnits,
    load_beats,
    load_tokenizer,
    save_beats,
)
from resp_agent.encoders.beats_layers import relative_buckets
from resp_agent.encoders.beats_model import hear
from resp_agent.errors import UserError
from resp_agent.randomness import seed_of, stream
from tests.encoders.plain_beats import plain_tokens

TINY = BeatsSettings(
    patch_width=12, width=16, feedforward=24, heads=2, layers=2, kernel=6, groups=4, buckets=16, distance=30
)


def released_state(settings: BeatsSettings, seed: int) -> dict[str, torch.Tensor]:
    """Random parameters in the layout of the public files, all of a size that matters."""
    generator = torch.Generator().manual_seed(seed_of("beats", seed))
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in Beats(settings).state_dict().items()}
    shapes["encoder.pos_conv.0.weight_g"] = (1, 1, settings.kernel)
    shapes["encoder.pos_conv.0.weight_v"] = shapes.pop("encoder.pos_conv.0.weight")
    state = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    for name, value in state.items():
        value *= 0.4 if value.dim() == 2 and "bias.weight" not in name else 1.0
    table = "encoder.layers.{}.self_attn.relative_attention_bias.weight"
    return state | {table.format(layer): state[table.format(0)] for layer in range(settings.layers)}


def random_beats(settings: BeatsSettings, seed: int) -> Beats:
    model = Beats(settings)
    model.load_state_dict(released_state(settings, seed), strict=True)
    return model.eval().requires_grad_(False)


def sound(samples: int, *path) -> np.ndarray:
    rng = stream("beats", samples, *path)
    return (0.05 * rng.standard_normal(samples) * (1 + np.sin(np.arange(samples) / 3000))).astype(np.float32)


@pytest.fixture(scope="module")
def expected(shared):
    return load_file(shared / "reference/released/beats_expected.safetensors")


def test_reproduces_the_released_encoder(shared, expected):
    model = load_beats(shared / "reference/released/beats_encoder.pt")
    mask = expected["padding_mask"].bool()
    torch.testing.assert_close(hear(expected["waveform"]), expected["fbank"], atol=1e-4, rtol=0)
    torch.testing.assert_close(model.features(expected["waveform"]), expected["features"], atol=1e-4, rtol=0)
    padded = model.features(expected["waveform"], mask)
    torch.testing.assert_close(padded, expected["features_padded"], atol=1e-4, rtol=0)
    assert torch.equal(model.token_padding(mask), expected["features_padding_mask"].bool())


def test_reproduces_the_released_units(shared, expected):
    model = load_tokenizer(shared / "reference/released/beats_tokenizer.pt")
    assert torch.equal(model.units(expected["waveform"]), expected["units"])


@pytest.mark.parametrize(
    ("changes", "samples"),
    [
        ({}, 6000),
        ({"heads": 4, "layers": 1, "kernel": 5, "groups": 1}, 5200),
        ({"patch_width": 16, "layers": 3, "groups": 16, "kernel": 32, "buckets": 8, "distance": 9}, 9000),
        ({"patch": 32, "heads": 1, "buckets": 64, "distance": 20}, 11_000),
    ],
)
def test_equals_the_plain_version_at_other_sizes(changes, samples):
    settings = replace(TINY, **changes)
    state = released_state(settings, samples)
    model = random_beats(settings, samples)
    waveform = torch.from_numpy(np.stack([sound(samples, 1), sound(samples, 2)]))
    frames = hear(waveform)
    mask = torch.arange(samples) >= torch.tensor([[samples], [samples // 2]])
    plain = {name: value.numpy() for name, value in state.items()}
    padding = model.token_padding(mask)
    assert not padding[0].any()
    assert padding[1].any()
    assert not padding[1].all()
    for row in range(2):
        bare = plain_tokens(plain, settings, frames[row].numpy())
        np.testing.assert_allclose(model.features(waveform)[row], bare, atol=2e-5)
        padded = plain_tokens(plain, settings, frames[row].numpy(), padding[row].numpy())
        np.testing.assert_allclose(model.features(waveform, mask)[row], padded, atol=2e-5)


def test_distances_have_the_buckets_of_t5():
    from transformers.models.t5.modeling_t5 import T5Attention

    for buckets, most, length in ((320, 800, 900), (32, 128, 300), (8, 9, 12)):
        distance = torch.arange(1 - length, length)
        theirs = T5Attention._relative_position_bucket(distance, True, buckets, most)
        assert torch.equal(relative_buckets(length, buckets, most), theirs)


def test_what_inference_made_first_serves_training_too():
    relative_buckets.cache_clear()
    model, waveform = Beats(TINY), torch.from_numpy(sound(9000))[None]
    with torch.inference_mode():
        model.features(waveform)
    model.features(waveform).sum().backward()


def test_units_are_the_nearest_rows():
    torch.manual_seed(0)
    model = BeatsTokenizer(replace(TINY, units=30, unit_width=5)).eval()
    # As drawn its biases decide.
    for layer in (0, 2):
        torch.nn.init.normal_(model.quantize_layer[layer].weight)
    waveform = torch.from_numpy(sound(9000))[None]
    projected = model.quantize_layer(model.features(waveform))[0].detach().numpy()
    unit = projected / np.linalg.norm(projected, axis=1, keepdims=True)
    rows = model.quantize.embedding.weight.detach().numpy()
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)
    nearest = [min(range(30), key=lambda row: ((one - rows[row]) ** 2).sum()) for one in unit]
    assert model.units(waveform)[0].tolist() == nearest
    assert len(set(nearest)) > 3


def test_low_precision_runs_and_is_near():
    model, waveform = random_beats(TINY, 1), torch.from_numpy(sound(9000))[None]
    mask = torch.arange(9000)[None] > 7000
    exact = model.features(waveform, mask)
    rough = model.bfloat16().features(waveform, mask)
    assert rough.dtype == torch.bfloat16
    assert (rough.float() - exact).abs().mean() < 0.1


def test_our_file_is_the_released_one(tmp_path):
    for made, settings, load in (
        (Beats, TINY, load_beats),
        (BeatsTokenizer, replace(TINY, units=9, unit_width=4), load_tokenizer),
    ):
        model = made(settings)
        file = save_beats(model, tmp_path)
        assert file.suffix == ".safetensors"
        for path in (tmp_path, file):
            again = load(path)
            assert again.settings == settings
            assert not again.training
            held = model.state_dict()
            assert again.state_dict().keys() == held.keys()
            assert all(torch.equal(value, held[name]) for name, value in again.state_dict().items())


def configuration(settings: BeatsSettings = TINY, **changes) -> dict:
    return {
        "input_patch_size": settings.patch,
        "embed_dim": settings.patch_width,
        "encoder_embed_dim": settings.width,
        "encoder_ffn_embed_dim": settings.feedforward,
        "encoder_attention_heads": settings.heads,
        "encoder_layers": settings.layers,
        "conv_pos": settings.kernel,
        "conv_pos_groups": settings.groups,
        "num_buckets": settings.buckets,
        "max_distance": settings.distance,
        "deep_norm": True,
        "relative_position_embedding": True,
        "gru_rel_pos": True,
        "encoder_layerdrop": 0.05,
    } | changes


def test_an_absent_switch_is_off_as_in_the_release(tmp_path):
    told = configuration(quant_n=9, quant_dim=4)
    torch.save({"cfg": told, "model": released_state(TINY, 0)}, tmp_path / "told.pt")
    assert load_beats(tmp_path / "told.pt").settings == TINY
    del told["deep_norm"]
    torch.save({"cfg": told, "model": released_state(TINY, 0)}, tmp_path / "untold.pt")
    with pytest.raises(UserError, match="deep_norm is False"):
        load_beats(tmp_path / "untold.pt")


def test_tables_of_positions_may_be_stored_once(tmp_path):
    state = released_state(TINY, 3)
    torch.save({"cfg": configuration(), "model": state}, tmp_path / "all.pt")
    second = "encoder.layers.1.self_attn.relative_attention_bias.weight"
    torch.save(
        {"cfg": configuration(), "model": {name: state[name] for name in state if name != second}},
        tmp_path / "one.pt",
    )
    waveform = torch.from_numpy(sound(5000))[None]
    assert torch.equal(load_beats(tmp_path / "all.pt").features(waveform), random_beats(TINY, 3).features(waveform))
    assert torch.equal(
        load_beats(tmp_path / "one.pt").features(waveform), load_beats(tmp_path / "all.pt").features(waveform)
    )


@pytest.mark.parametrize(
    ("configured", "changed", "words"),
    [
        ({}, {"fc9.weight": torch.zeros(2)}, ["fc9.weight"]),
        ({}, {"layer_norm.bias": None}, ["layer_norm.bias"]),
        ({}, {"encoder.layers.1.self_attn.relative_attention_bias.weight": torch.zeros(16, 2)}, ["layers.1", "bias"]),
        ({}, {"predictor.weight": torch.zeros(2)}, ["fine-tuned", "predictor"]),
        ({"finetuned_model": True}, {}, ["fine-tuned"]),
        ({"encoder_ffn_embed_dim": 25}, {}, ["fc1.weight"]),
        ({"layer_norm_first": True}, {}, ["layer_norm_first", "True"]),
        ({"activation_fn": "relu"}, {}, ["activation_fn", "relu"]),
        ({"encoder_attention_heads": 3}, {}, ["16", "3 heads"]),
        ({"gru_rel_pos": False}, {}, ["gru_rel_pos", "False"]),
        ({"quant_n": 9, "quant_dim": 4}, {"quantize.embedding.weight": torch.zeros(9, 4)}, ["tokenizer", "encoder"]),
        ({}, {"quantize.embedding.weight": torch.zeros(9, 4)}, ["quant_n, quant_dim"]),
    ],
)
def test_what_is_no_beats_is_refused_by_name(tmp_path, configured, changed, words):
    state = {name: value for name, value in (released_state(TINY, 0) | changed).items() if value is not None}
    torch.save({"cfg": configuration(**configured), "model": state}, tmp_path / "other.pt")
    with pytest.raises(UserError) as refused:
        load_beats(tmp_path / "other.pt")
    assert all(word in str(refused.value) for word in ["other.pt", *words])


def test_files_that_are_not_there_or_something_else_are_refused(tmp_path):
    (tmp_path / "text.pt").write_text("hello")
    (tmp_path / "text.safetensors").write_text("hello")
    torch.save([1, 2], tmp_path / "list.pt")
    torch.save({"cfg": {"encoder_layers": 1}, "model": {}}, tmp_path / "little.pt")
    for name, word in (
        ("none.pt", "not there"),
        ("", "BEATs_iter3_plus_AS2M.pt"),
        ("text.pt", "plain tensors"),
        ("text.safetensors", "not a BEATs"),
        ("list.pt", "`cfg`"),
        ("little.pt", "embed_dim"),
    ):
        with pytest.raises(UserError, match=word):
            load_beats(tmp_path / name)
    with pytest.raises(UserError, match="unit tokenizer is wanted"):
        load_tokenizer(save_beats(Beats(TINY), tmp_path / "encoder.safetensors"))


LENGTHS = [0, 1, 240, 241, 1520, 1521, 2800, 2801, 16_000, 30_000, 48_240]


@pytest.mark.parametrize("shifts", [1, 2])
def test_every_sample_is_in_a_frame_and_counts_are_as_told(shifts):
    encoder = BeatsFeatures(random_beats(TINY, 5), window_s=1.0, shifts=shifts)
    assert encoder.frame_ms == 160 / shifts
    made = encoder.encode([sound(samples) for samples in LENGTHS])
    for samples, frames in zip(LENGTHS, made, strict=True):
        told = encoder.frame_count(samples)
        assert frames.shape == (told, encoder.width) == (told, 8 * 16)
        assert frames.dtype == np.float32
        last = (told - 1) * 2560 // shifts
        assert samples <= (last + 2800 if told else 0)
        assert told <= 1 or last + 240 < samples <= last + 240 + 2560 // shifts


def test_a_frame_holds_the_bands_of_its_moment():
    model = random_beats(TINY, 5)
    waveform = sound(16_000)
    padded = np.pad(waveform, (0, 7 * 2560 + 240 - 16_000))
    tokens = model.features(torch.from_numpy(padded)[None])[0].numpy()
    assert len(tokens) == 7 * 8
    frames = BeatsFeatures(model).encode([waveform])[0]
    np.testing.assert_allclose(frames, tokens.reshape(7, 8 * 16), atol=1e-5)


def test_two_shifts_hear_a_recording_from_its_start_and_from_80_ms():
    model = random_beats(TINY, 5)
    waveform = sound(20_001)
    once, twice = BeatsFeatures(model), BeatsFeatures(model, shifts=2)
    frames = twice.encode([waveform])[0]
    np.testing.assert_allclose(frames[0::2], once.encode([waveform])[0], atol=1e-5)
    np.testing.assert_allclose(frames[1::2], once.encode([waveform[1280:]])[0], atol=1e-5)


def test_long_recordings_are_heard_in_equal_windows_on_one_grid():
    model = random_beats(TINY, 5)
    waveform = sound(11 * 2560 + 240)
    frames = BeatsFeatures(model, window_s=0.8).encode([waveform])[0]
    edges = [0, 3, 7, 11]
    for start, end in pairwise(edges):
        part = waveform[start * 2560 : end * 2560 + 240]
        alone = BeatsFeatures(model).encode([part])[0]
        np.testing.assert_allclose(frames[start:end], alone, atol=1e-5)


@pytest.mark.parametrize("shifts", [1, 2])
def test_a_recording_does_not_depend_on_its_neighbours(shifts):
    encoder = BeatsFeatures(random_beats(TINY, 6), window_s=1.5, shifts=shifts)
    recordings = [sound(samples) for samples in (9000, 40_000, 12_345, 16_000, 15_999, 700, 23_000, 9000)]
    together = encoder.encode(recordings)
    for recording, frames in zip(recordings, together, strict=True):
        np.testing.assert_allclose(frames, encoder.encode([recording])[0], atol=1e-5)


def test_units_of_recordings(shared):
    tokenizer = load_tokenizer(shared / "reference/released")
    named = BeatsUnits(tokenizer)
    recordings = [sound(12_240 + 2560 * step) for step in range(3)]
    for recording, units in zip(recordings, named.encode(recordings), strict=True):
        assert units.shape == (named.frame_count(len(recording)), 8)
        padded = np.pad(recording, (0, len(units) * 2560 + 240 - len(recording)))
        assert np.array_equal(units.ravel(), tokenizer.units(torch.from_numpy(padded)[None])[0].numpy())
    assert named.encode([sound(0)])[0].shape == (0, 8)


def test_fingerprint_tells_what_changes_a_number(tmp_path, shared):
    released = shared / "reference/released"
    same = BeatsFeatures.from_weights(released).fingerprint
    save_beats(load_beats(released), tmp_path)
    assert BeatsFeatures.from_weights(tmp_path).fingerprint == same
    changed = load_beats(released)
    changed.layer_norm.bias[0] += 1e-3
    names = {
        same,
        BeatsFeatures(changed).fingerprint,
        BeatsFeatures.from_weights(released, shifts=2).fingerprint,
        BeatsFeatures.from_weights(released, window_s=5).fingerprint,
        BeatsUnits.from_weights(released).fingerprint,
    }
    assert len(names) == 5


def test_sizes_that_cannot_be_are_refused():
    for changes in ({"patch": 15}, {"heads": 3}, {"groups": 5}, {"buckets": 10}, {"distance": 4}, {"units": 3}):
        with pytest.raises(UserError):
            replace(TINY, **changes)
    with pytest.raises(UserError, match="shifts"):
        BeatsFeatures(random_beats(TINY, 0), shifts=3)
