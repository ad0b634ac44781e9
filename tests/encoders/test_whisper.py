"""Whisper's encoder against transformers: its log-mel, its states, and frames over whole recordings."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from resp_agent.encoders.whisper import WhisperFeatures, load_encoder, whisper_log_mel
from resp_agent.errors import UserError
from resp_agent.randomness import stream

SIZES = {"d_model": 64, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 96}
REST = {"decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 32, "vocab_size": 60, "pad_token_id": 0}
TOKENS = {"bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}


def sound(samples: int, *path) -> np.ndarray:
    rng = stream("whisper", samples, *path)
    return (0.05 * rng.standard_normal(samples) * (1 + np.sin(np.arange(samples) / 3000))).astype(np.float32)


@pytest.fixture(scope="module")
def model() -> WhisperModel:
    torch.manual_seed(0)
    made = WhisperModel(WhisperConfig(**SIZES, **REST, **TOKENS, max_source_positions=150)).eval()
    # As drawn they hardly move: a difference would not show.
    for value in made.encoder.parameters():
        value.data = torch.randn_like(value) * (0.2 if value.dim() > 1 else 1.0)
    return made.requires_grad_(False)


def test_log_mel_is_that_of_the_feature_extractor():
    theirs = WhisperFeatureExtractor()
    for samples in (320, 8000, 16_123):
        waveform = sound(samples)
        expected = theirs(waveform, sampling_rate=16_000, padding="do_not_pad", return_tensors="pt").input_features
        made = whisper_log_mel(torch.from_numpy(waveform)[None])
        torch.testing.assert_close(made.transpose(1, 2), expected, atol=2e-4, rtol=0)


def test_each_row_of_log_mel_is_clamped_by_its_own_maximum():
    loud, quiet = sound(8000, 1), 1e-3 * sound(8000, 2)
    together = whisper_log_mel(torch.from_numpy(np.stack([loud, quiet])))
    torch.testing.assert_close(together[1], whisper_log_mel(torch.from_numpy(quiet)[None])[0], atol=1e-5, rtol=0)


def test_states_are_those_of_transformers_where_the_clip_fills_its_positions(model):
    waveform = sound(48_000)
    features = WhisperFeatures(model.encoder, window_s=3)
    expected = model.encoder(whisper_log_mel(torch.from_numpy(waveform)[None]).transpose(1, 2)).last_hidden_state[0]
    made = features.encode([waveform])[0]
    assert made.shape == (150, 64)
    np.testing.assert_allclose(made, expected, atol=2e-5)


def test_a_shorter_clip_has_the_first_positions(model):
    waveform = sound(20_000)
    short = WhisperEncoder(WhisperConfig(**SIZES, max_source_positions=63)).eval()
    state = model.encoder.state_dict()
    short.load_state_dict(state | {"embed_positions.weight": state["embed_positions.weight"][:63]})
    padded = np.pad(waveform, (0, 63 * 320 - 20_000))
    with torch.inference_mode():
        expected = short(whisper_log_mel(torch.from_numpy(padded)[None]).transpose(1, 2)).last_hidden_state[0]
    np.testing.assert_allclose(WhisperFeatures(model.encoder, 3).encode([waveform])[0], expected, atol=2e-5)


@pytest.mark.parametrize("pool", [1, 2, 4])
def test_recordings_are_whole_whatever_their_length_and_neighbours(model, pool):
    encoder = WhisperFeatures(model.encoder, window_s=1.0, pool=pool)
    assert encoder.frame_ms == 20 * pool
    lengths = [0, 1, 320, 321, 5000, 16_000, 16_001, 33_333, 5000, 16_000]
    recordings = [sound(samples, place) for place, samples in enumerate(lengths)]
    for recording, frames in zip(recordings, encoder.encode(recordings), strict=True):
        states = -(-len(recording) // 320)
        assert frames.shape == (encoder.frame_count(len(recording)), 64) == (-(-states // pool), 64)
        assert frames.dtype == np.float32
        np.testing.assert_allclose(frames, encoder.encode([recording])[0], atol=1e-5)


def test_pooled_frames_are_means_of_what_is_there(model):
    waveform = sound(7 * 320)
    states = WhisperFeatures(model.encoder, 3).encode([waveform])[0]
    pooled = WhisperFeatures(model.encoder, 3, pool=4).encode([waveform])[0]
    np.testing.assert_allclose(pooled, np.stack([states[:4].mean(0), states[4:].mean(0)]), atol=1e-6)


def test_long_recordings_are_heard_in_equal_windows(model):
    encoder, waveform = WhisperFeatures(model.encoder, window_s=1.0), sound(110 * 320)
    frames = encoder.encode([waveform])[0]
    for start, end in ((0, 36), (36, 73), (73, 110)):
        np.testing.assert_allclose(frames[start:end], encoder.encode([waveform[start * 320 : end * 320]])[0], atol=1e-5)


def test_a_folder_and_a_file_give_the_same(model, tmp_path):
    model.save_pretrained(tmp_path / "whole")
    save_file(model.encoder.state_dict(), tmp_path / "encoder.safetensors")
    waveform = sound(9000)
    expected = WhisperFeatures(model.encoder, 3).encode([waveform])[0]
    folder = WhisperFeatures.from_weights(tmp_path / "whole", window_s=3)
    np.testing.assert_allclose(folder.encode([waveform])[0], expected, atol=1e-5)
    # A file does not tell its heads, which are 64 wide in every Whisper.
    assert load_encoder(tmp_path / "encoder.safetensors").config.encoder_attention_heads == 1
    for name, value in load_encoder(tmp_path / "encoder.safetensors").state_dict().items():
        assert torch.equal(value, model.encoder.state_dict()[name])


def test_pretrained_states_are_near_those_of_a_clip_padded_to_30_s(shared):
    encoder = WhisperFeatures.from_weights(shared / "weights/whisper_tiny_en_encoder.safetensors")
    assert next(encoder.encoder.parameters()).dtype == torch.float32
    time_s = np.arange(64_000) / 16_000
    waveform = sound(64_000) + (0.1 * np.sin(2 * np.pi * 400 * time_s) * (time_s % 2 > 1)).astype(np.float32)
    padded = torch.from_numpy(np.pad(waveform, (0, 480_000 - 64_000)))[None]
    with torch.inference_mode():
        theirs = encoder.encoder(whisper_log_mel(padded).transpose(1, 2)).last_hidden_state[0, :200].numpy()
    made = encoder.encode([waveform])[0]
    # Silence is attended to as well there, so they cannot be equal.
    assert cosine(made, theirs) > 0.85
    assert cosine(made, np.roll(theirs, 50, axis=0)) < 0.6


def cosine(left: np.ndarray, right: np.ndarray) -> float:
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return float(((left * right).sum(1) / norms).mean())


def test_drawing_an_encoder_moves_no_random_numbers(shared):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    load_encoder(shared / "weights/whisper_tiny_en_encoder.safetensors")
    assert torch.equal(torch.rand(1), expected)


def test_fingerprint_tells_what_changes_a_number(model, shared):
    file = shared / "weights/whisper_tiny_en_encoder.safetensors"
    same = WhisperFeatures.from_weights(file).fingerprint
    assert WhisperFeatures.from_weights(file).fingerprint == same
    others = {
        WhisperFeatures(model.encoder, 3).fingerprint,
        WhisperFeatures.from_weights(file, pool=2).fingerprint,
        WhisperFeatures.from_weights(file, window_s=5).fingerprint,
    }
    assert len(others | {same}) == 4


def test_weights_that_are_not_there_or_something_else_are_refused(model, tmp_path, shared, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    state = load_file(shared / "weights/whisper_tiny_en_encoder.safetensors")
    save_file({name: state[name] for name in state if name != "conv2.bias"}, tmp_path / "lacking.safetensors")
    save_file(state | {"head.weight": torch.zeros(1)}, tmp_path / "more.safetensors")
    save_file(state | {"conv2.bias": torch.zeros(3)}, tmp_path / "shape.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    (tmp_path / "text.safetensors").write_text("hello")
    (tmp_path / "empty").mkdir()
    for name, word in (
        ("lacking.safetensors", "lacks conv2.bias"),
        ("more.safetensors", "unexpected head.weight"),
        ("shape.safetensors", "conv2.bias"),
        ("other.safetensors", "embed_positions"),
        ("text.safetensors", "not a safetensors file"),
        ("none.safetensors", "not there"),
        ("empty", "no folder with a Whisper"),
    ):
        with pytest.raises(UserError, match=word):
            load_encoder(tmp_path / name)
    with pytest.raises(UserError, match="lower window_s"):
        WhisperFeatures(model.encoder, window_s=10)
