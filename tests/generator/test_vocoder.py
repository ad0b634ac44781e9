from dataclasses import replace

import numpy as np
import pytest

from resp_agent.encoders.patches import waveform_log_mel
from resp_agent.errors import RunFailed
from resp_agent.generator.vocoder import power_above, vocode
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


def test_breath_stays_noise_inside_its_bands():
    # The squared mean of a Gaussian signal's magnitudes is pi / 4 of their mean square; flattened ones come to 1.
    noise = (0.05 * stream(1, "noise").standard_normal(48_000)).astype(np.float32)
    made = vocode(waveform_log_mel(noise, AUDIO)[None], AUDIO, 3, rngs(1))[0]
    magnitudes = np.abs(np.fft.rfft(made.reshape(-1, 640), axis=1))[1:-1, 80:170]
    assert magnitudes.mean() ** 2 / np.square(magnitudes).mean() == pytest.approx(np.pi / 4, abs=0.02)


def test_a_silent_band_stays_silent():
    hz = np.fft.rfftfreq(48_000, 1 / 16_000)
    noise = np.fft.rfft(stream(1, "noise").standard_normal(48_000))
    dull = (0.05 * np.fft.irfft(np.where(hz < 1000, noise, 0))).astype(np.float32)
    made = vocode(waveform_log_mel(dull, AUDIO)[None], AUDIO, 3, rngs(1))[0]
    power = np.abs(np.fft.rfft(made * np.hanning(len(made)))) ** 2
    assert power[(hz > 1500) & (hz < 4400)].mean() < 1e-7 * power[hz < 1000].mean()


def test_above_the_highest_band_white_noise_is_as_loud_as_in_it_and_a_filter_tells():
    noise = (0.05 * stream(1, "noise").standard_normal(160_000)).astype(np.float32)
    assert np.abs(power_above(noise, AUDIO)).max() < 0.1
    hz = np.fft.rfftfreq(len(noise), 1 / 16_000)
    softer = np.fft.irfft(np.fft.rfft(noise) * np.where(hz < 5000, 1, 0.1))
    told = power_above(softer, AUDIO)
    assert np.abs(told[2:] + np.log(100)).max() < 0.1
    assert power_above(noise, replace(AUDIO, high_hz=8000)).shape == (0,)


def test_that_a_recording_begins_and_ends_abruptly_is_not_heard_above():
    soft = (3e-4 * stream(1, "noise").standard_normal(48_000)).astype(np.float32)
    low = 0.5 * np.cos(2 * np.pi * 300 * np.arange(48_000) / 16_000).astype(np.float32)
    np.testing.assert_allclose(power_above(soft + low, AUDIO), power_above(soft, AUDIO), atol=0.05)


@pytest.mark.parametrize("level", [0.05, 0.001])
def test_what_is_above_is_put_back(level):
    """Also where the highest band is at the floor, as in soft noise."""
    noise = (level * stream(1, "noise").standard_normal(48_000)).astype(np.float32)
    hz = np.fft.rfftfreq(len(noise), 1 / 16_000)
    sound = np.fft.irfft(np.fft.rfft(noise) * 10 ** (-hz / 4000)).astype(np.float32)
    target, above = waveform_log_mel(sound, AUDIO)[None], power_above(sound, AUDIO)
    silent, made = vocode(target, AUDIO, 3, rngs(1))[0], vocode(target, AUDIO, 3, rngs(1), [above])[0]
    spectra = [np.abs(np.fft.rfft(one * np.hanning(len(one)))) for one in (sound, made, silent)]
    for low_hz in range(5000, 8000, 500):
        within = (hz > low_hz) & (hz < low_hz + 500)
        true, ours, theirs = (np.log10(spectrum[within]).mean() for spectrum in spectra)
        assert abs(ours - true) < 0.1
        assert theirs < true - 1


def test_loud_is_clipped_and_nan_refused():
    target = waveform_log_mel(breath_with_tone(), AUDIO)
    assert np.abs(vocode(target[None] + 8, AUDIO, 2, rngs(1))).max() == 1.0
    target[3, 5] = np.nan
    with pytest.raises(RunFailed, match="NaN"):
        vocode(target[None], AUDIO, 2, rngs(1))
