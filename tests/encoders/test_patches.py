import numpy as np
import pytest

from resp_agent.encoders.patches import PatchEncoder, waveform_log_mel
from resp_agent.settings import AudioSettings

AUDIO = AudioSettings(mels=16)


def noise(seed: int, samples: int = 16_000) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def test_one_patch_a_hop():
    encoder = PatchEncoder.fit([noise(0)], AUDIO)
    assert encoder.encode(noise(1)).shape == (50, 16)
    assert encoder.encode(noise(1, 16_319)).shape == (50, 16)
    assert encoder.encode(noise(1, 16_320)).shape == (51, 16)


def test_train_patches_have_zero_mean_and_unit_deviation():
    waveforms = [noise(0), 2 * noise(1)]
    encoder = PatchEncoder.fit(waveforms, AUDIO)
    patches = np.concatenate([encoder.encode(waveform) for waveform in waveforms])
    np.testing.assert_allclose(patches.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(patches.std(0), 1, atol=1e-4)


def test_silence_is_finite():
    encoder = PatchEncoder.fit([np.zeros(16_000, np.float32)], AUDIO)
    assert np.isfinite(encoder.encode(noise(0))).all()


def test_louder_is_a_shift_of_log_power():
    difference = waveform_log_mel(2 * noise(0), AUDIO) - waveform_log_mel(noise(0), AUDIO)
    np.testing.assert_allclose(difference, np.log(4), atol=1e-3)


def test_no_audio_is_refused():
    with pytest.raises(ValueError, match="no audio"):
        PatchEncoder.fit([np.zeros(10, np.float32)], AUDIO)
