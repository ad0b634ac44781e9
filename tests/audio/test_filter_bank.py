"""The filter bank against the release's, a slow plain version, and that of transformers."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

from resp_agent.audio.filter_bank import filter_bank, frame_count
from resp_agent.randomness import stream


def sound(samples: int, *path) -> np.ndarray:
    """Noise and a tone, of levels that differ over time."""
    rng = stream("filter bank", samples, *path)
    time_s = np.arange(samples) / 16_000
    tone = np.sin(2 * np.pi * rng.uniform(50, 4000) * time_s)
    return (0.02 * rng.standard_normal(samples) * (1 + np.sin(9 * time_s)) + 0.1 * tone + 0.01).astype(np.float32)


def plain(waveform: np.ndarray, bands: int) -> np.ndarray:
    """Frame by frame and band by band in float64, the spectrum by its definition."""
    audio = waveform.astype(np.float64) * 2**15
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)) ** 0.85
    wave = np.exp(-2j * np.pi * np.outer(np.arange(256), np.arange(400)) / 512)
    mel_of = lambda hz: 1127 * np.log(1 + hz / 700)  # noqa: E731
    width = (mel_of(8000) - mel_of(20)) / (bands + 1)
    rows = []
    for start in range(0, len(audio) - 399, 160):
        frame = audio[start : start + 400] - audio[start : start + 400].mean()
        emphasised = np.array([frame[i] - 0.97 * frame[max(i - 1, 0)] for i in range(400)])
        power = np.abs(wave @ (emphasised * window)) ** 2
        row = []
        for band in range(bands):
            centre = mel_of(20) + (band + 1) * width
            weights = [max(0.0, 1 - abs(mel_of(bin_ * 31.25) - centre) / width) for bin_ in range(256)]
            row.append(np.log(max(np.dot(weights, power), 1.1920929e-7)))
        rows.append(row)
    return np.array(rows)


def test_reproduces_the_release(shared):
    held = load_file(shared / "reference/released/beats_expected.safetensors")
    for dtype, tolerance in ((torch.float32, 1e-4), (torch.float64, 1e-5)):
        made = (filter_bank(held["waveform"], dtype=dtype) - 15.41663) / (2 * 6.55582)
        assert made.dtype == torch.float32
        torch.testing.assert_close(made, held["fbank"], atol=tolerance, rtol=0)


@pytest.mark.parametrize(("samples", "bands"), [(400, 128), (559, 40), (560, 23), (3001, 64)])
def test_equals_the_plain_version(samples, bands):
    waveform = sound(samples, bands)
    expected = plain(waveform, bands)
    for dtype, tolerance in ((torch.float32, 1e-3), (torch.float64, 1e-6)):
        made = filter_bank(torch.from_numpy(waveform), bands, dtype)
        assert made.shape == (frame_count(samples), bands) == expected.shape
        np.testing.assert_allclose(made, expected, atol=tolerance, rtol=1e-6)


def test_equals_transformers_with_the_settings_of_kaldi():
    waveform = sound(16_000)
    filters = mel_filter_bank(257, 128, 20, 8000, 16_000, norm=None, mel_scale="kaldi", triangularize_in_mel_space=True)
    expected = spectrogram(
        waveform * 2**15,
        window_function(400, "povey", periodic=False),
        frame_length=400,
        hop_length=160,
        fft_length=512,
        power=2.0,
        center=False,
        preemphasis=0.97,
        mel_filters=filters,
        log_mel="log",
        mel_floor=1.192092955078125e-07,
        remove_dc_offset=True,
    ).T
    made = filter_bank(torch.from_numpy(waveform), dtype=torch.float64)
    np.testing.assert_allclose(made, expected, atol=1e-4)


def test_a_row_does_not_depend_on_its_batch_nor_on_what_follows_its_frames():
    first, second = sound(5000, 1), sound(5000, 2)
    alone = filter_bank(torch.from_numpy(first))
    together = filter_bank(torch.from_numpy(np.stack([second, first])))
    longer = filter_bank(torch.from_numpy(np.concatenate([first, np.zeros(2000, np.float32)])))
    torch.testing.assert_close(together[1], alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(longer[: len(alone)], alone, atol=1e-5, rtol=0)
    assert not torch.allclose(together[0], alone, atol=0.1)


def test_silence_is_at_the_floor_and_an_offset_is_silence():
    floor = np.log(np.finfo(np.float32).eps)
    for level in (0.0, 0.25):
        np.testing.assert_allclose(filter_bank(torch.full((1, 1000), level)), floor, rtol=1e-6)


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (399, 0), (400, 1), (559, 1), (560, 2), (160_000, 998)])
def test_frames_lie_wholly_in_the_audio(samples, frames):
    assert frame_count(samples) == frames
    assert filter_bank(torch.zeros(2, samples)).shape == (2, frames, 128)
