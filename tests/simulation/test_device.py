import numpy as np
import pytest
import torch

from resp_agent.audio.features import log_mel
from resp_agent.corpus.schema import SAMPLE_RATE_HZ
from resp_agent.settings import AudioSettings
from resp_agent.simulation.device import CEILING, DEVICES, through
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


def test_gain_control_takes_loudness_differences_away():
    quiet_then_loud = np.random.default_rng(0).standard_normal(3 * SAMPLE_RATE_HZ) * 3
    quiet_then_loud[: SAMPLE_RATE_HZ * 3 // 2] *= 0.1

    def contrast_db(sound: np.ndarray) -> float:
        early, late = sound[: SAMPLE_RATE_HZ * 5 // 4], sound[-SAMPLE_RATE_HZ:]
        return 20 * np.log10(np.std(late) / np.std(early))

    through_phone = contrast_db(through("smartphone", quiet_then_loud, np.random.default_rng(0)))
    through_diaphragm = contrast_db(through("stethoscope diaphragm", quiet_then_loud, np.random.default_rng(0)))
    assert through_phone < through_diaphragm - 3


def test_devices_are_told_apart_by_the_mean_log_mel_of_normal_breathing():
    audio = AudioSettings()
    means = {
        device: np.array(
            [
                log_mel(torch.from_numpy(through(device, sound, np.random.default_rng(seed)).astype(np.float32)), audio)
                .mean(dim=0)
                .numpy()
                for seed, sound in enumerate(breaths(8))
            ]
        )
        for device in DEVICES
    }
    centres = np.array([means[device][:4].mean(axis=0) for device in DEVICES])
    hits = [
        np.square(centres - mean).sum(axis=1).argmin() == index
        for index, device in enumerate(DEVICES)
        for mean in means[device][4:]
    ]
    assert np.mean(hits) >= 0.8


def test_an_unknown_device_is_refused():
    with pytest.raises(ValueError, match="no device 'trumpet'"):
        through("trumpet", np.zeros(16_000), np.random.default_rng(0))
