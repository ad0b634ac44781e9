import numpy as np
import pytest

from resp_agent.encoders.log_mel import LogMel
from resp_agent.errors import UserError
from resp_agent.metrics.embeddings import Embedder, Scale, rows_of, unit
from resp_agent.settings import AudioSettings, EncoderSettings

AUDIO = AudioSettings(clip_s=1.0)


def waveforms(count: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [0.1 * rng.standard_normal(8_000 + 800 * index).astype(np.float32) for index in range(count)]


def test_log_mel_statistics_are_those_of_each_recording_alone():
    heard = waveforms(40)
    embedder = Embedder(EncoderSettings(), AUDIO)
    made = embedder(iter(heard))
    assert made.shape == (40, 2 * AUDIO.mels)
    frames = LogMel(AUDIO).encode([heard[37]])[0]
    np.testing.assert_allclose(made[37], np.concatenate([frames.mean(0), frames.std(0)]), rtol=1e-5)
    assert embedder.name == "log-mel (mean and deviation of bands)"


def test_whisper_is_averaged_over_time(shared):
    from resp_agent.encoders.whisper import WhisperFeatures

    weights = shared / "weights" / "whisper_tiny_en_encoder.safetensors"
    embedder = Embedder(EncoderSettings(kind="whisper", weights=str(weights)), AUDIO)
    heard = waveforms(2)
    made = embedder(heard)
    expected = [frames.mean(0) for frames in WhisperFeatures.from_weights(weights).encode(heard)]
    np.testing.assert_allclose(made, expected, atol=1e-4)
    assert str(weights) in embedder.name


def test_nothing_and_what_is_too_short_are_refused():
    embedder = Embedder(EncoderSettings(), AUDIO)
    with pytest.raises(UserError, match="nothing to embed"):
        embedder([])
    with pytest.raises(UserError, match="recording 1 is too short"):
        embedder([*waveforms(1), np.zeros(10, np.float32)])


def test_a_scale_is_that_of_the_real_recordings():
    real = np.random.default_rng(1).standard_normal((50, 3)) * [1, 5, 0] + [0, 3, 7]
    scaled = Scale(real)(real)
    np.testing.assert_allclose(scaled[:, :2].mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(scaled[:, :2].std(0), 1)
    assert np.isfinite(scaled).all()


def test_rows_go_to_their_names_and_units_have_length_one():
    values = np.arange(6.0).reshape(3, 2)
    rows = rows_of(values, ["b", "a", "b"])
    assert list(rows) == ["a", "b"]
    np.testing.assert_array_equal(rows["b"], values[[0, 2]])
    np.testing.assert_allclose(np.linalg.norm(unit(values), axis=1), 1)
    assert not unit(np.zeros(3)).any()
