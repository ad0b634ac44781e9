import librosa
import numpy as np
import pytest
import torch

from resp_agent.audio.features import fft_size, log_mel, mel_filters
from resp_agent.encoders.patches import waveform_log_mel
from resp_agent.errors import RunFailed
from resp_agent.generator.vocoder import invert_mel, vocode
from resp_agent.randomness import stream
from resp_agent.settings import AudioSettings

AUDIO = AudioSettings()


def breath_with_tone(level: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(0)
    time_s = np.arange(48_000) / 16_000
    sound = 0.03 * rng.standard_normal(48_000) * (1 + np.sin(2 * np.pi * time_s))
    sound += 0.1 * np.sin(2 * np.pi * 400 * time_s) * ((time_s > 1) & (time_s < 2))
    return (level * sound).astype(np.float32)


def rngs(count: int) -> list[np.random.Generator]:
    return [stream(0, index) for index in range(count)]


def test_log_mel_comes_back():
    target = waveform_log_mel(breath_with_tone(), AUDIO)
    made = vocode(target[None], AUDIO, 16, rngs(1))
    assert made.shape == (1, 48_000)
    again = waveform_log_mel(made[0], AUDIO)
    assert np.corrcoef(again.ravel(), target.ravel())[0, 1] > 0.98
    assert np.abs(again - target).mean() < 0.2


@pytest.mark.parametrize("level", [0.01, 0.1, 1.0])
def test_level_is_kept(level):
    waveform = breath_with_tone(level)
    target = waveform_log_mel(waveform, AUDIO)
    hz = np.fft.rfftfreq(len(waveform), 1 / 16_000)
    heard = np.fft.irfft(np.where((hz > AUDIO.low_hz) & (hz < AUDIO.high_hz), np.fft.rfft(waveform), 0))
    made = vocode(target[None], AUDIO, 16, rngs(1))[0]
    assert abs(20 * np.log10(made.std() / heard.std())) < 1.0


def test_a_clip_does_not_depend_on_its_batch():
    target = waveform_log_mel(breath_with_tone(), AUDIO)
    alone = vocode(target[None], AUDIO, 4, rngs(1))
    among = vocode(np.stack([target, target - 1, target + 1]), AUDIO, 4, rngs(3))
    np.testing.assert_allclose(among[0], alone[0], atol=1e-4)
    assert not np.allclose(among[0], among[2], atol=1e-2)


def test_mel_inversion_matches_its_bands_and_non_negative_least_squares():
    target = torch.exp(log_mel(torch.from_numpy(breath_with_tone()), AUDIO))[None]
    power = invert_mel(target, AUDIO)
    assert (power >= 0).all()
    rebuilt = power @ mel_filters(AUDIO).T
    ours = float((rebuilt - target).norm() / target.norm())
    slow = librosa.util.nnls(mel_filters(AUDIO).numpy(), target[0, :20].T.numpy())
    theirs = np.linalg.norm(mel_filters(AUDIO).numpy() @ slow - target[0, :20].T.numpy()) / float(target[0, :20].norm())
    assert power.shape[-1] == fft_size(AUDIO) // 2 + 1
    assert ours < max(theirs, 0.02)


def test_loud_is_clipped_and_nan_refused():
    target = waveform_log_mel(breath_with_tone(), AUDIO)
    assert np.abs(vocode(target[None] + 8, AUDIO, 2, rngs(1))).max() == 1.0
    target[3, 5] = np.nan
    with pytest.raises(RunFailed, match="NaN"):
        vocode(target[None], AUDIO, 2, rngs(1))
