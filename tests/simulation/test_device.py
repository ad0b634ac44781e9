from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from resp_agent.audio.features import log_mel
from resp_agent.corpus.schema import SAMPLE_RATE_HZ
from resp_agent.settings import AudioSettings
from resp_agent.simulation.device import CEILING, DEVICE_TABLE, DEVICES, through
from resp_agent.simulation.pathology import content


def breaths(count: int) -> list[np.ndarray]:
    return [content("control group", np.random.default_rng(seed), 2.0).waveform for seed in range(count)]


def test_there_are_five_devices():
    assert len(set(DEVICES)) == 5


@pytest.mark.parametrize("device", DEVICES)
def test_a_device_keeps_the_length_within_full_scale_and_varies_between_recordings(device):
    loud = 100 * breaths(1)[0]
    first, second = (through(device, loud, np.random.default_rng(seed)) for seed in (0, 1))
    assert first.shape == loud.shape
    assert np.abs(first).max() <= CEILING + 1e-12
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(first, through(device, loud, np.random.default_rng(0)))


def test_the_electronic_stethoscope_ends_at_2_khz_and_hums():
    spectrum = np.mean(
        [
            np.abs(np.fft.rfft(through("electronic stethoscope", sound, np.random.default_rng(seed)))) ** 2
            for seed, sound in enumerate(breaths(6))
        ],
        axis=0,
    )
    hz = np.fft.rfftfreq(2 * SAMPLE_RATE_HZ, 1 / SAMPLE_RATE_HZ)
    # The mains hum alone is not made of whole periods: its cut ends leave a trace of 1e-6.
    assert spectrum[hz >= 2000].sum() < 1e-5 * spectrum.sum()
    mains = max(spectrum[np.abs(hz - mains_hz) < 1].max() for mains_hz in (50, 60))
    assert mains > 20 * np.median(spectrum[(hz > 40) & (hz < 70)])


def test_gain_control_takes_its_share_of_loudness_differences_away(monkeypatch):
    quiet_then_loud = np.random.default_rng(0).standard_normal(3 * SAMPLE_RATE_HZ) * 3
    quiet_then_loud[: SAMPLE_RATE_HZ * 3 // 2] *= 0.1

    def contrast_db(share: float) -> float:
        monkeypatch.setitem(DEVICE_TABLE, "smartphone", replace(DEVICE_TABLE["smartphone"], gain_control=share))
        sound = through("smartphone", quiet_then_loud, np.random.default_rng(0))
        return 20 * np.log10(np.std(sound[-SAMPLE_RATE_HZ:]) / np.std(sound[: SAMPLE_RATE_HZ * 5 // 4]))

    assert DEVICE_TABLE["smartphone"].gain_control > 0
    without = contrast_db(0.0)
    for share in (0.3, 0.5):
        assert contrast_db(share) == pytest.approx((1 - share) * without, rel=0.15)


def test_a_linear_reading_of_mean_log_mel_tells_devices_apart_in_health():
    audio, means, devices = AudioSettings(), [], []
    for seed in range(32):
        for index, device in enumerate(DEVICES):
            heard = content("control group", np.random.default_rng((seed, index)), 1.5).waveform
            sound = through(device, heard, np.random.default_rng((seed, index, 1)))
            means.append(log_mel(torch.from_numpy(sound.astype(np.float32)), audio).mean(dim=0).numpy())
            devices.append(index)
    means, devices = np.array(means), np.array(devices)
    half = len(devices) // 2
    reading = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1).fit(means[:half], devices[:half])
    # Chance is .2; what is heard differs between the two halves.
    assert reading.score(means[half:], devices[half:]) >= 0.8


def test_an_unknown_device_is_refused():
    with pytest.raises(ValueError, match="no device 'trumpet'"):
        through("trumpet", np.zeros(16_000), np.random.default_rng(0))
