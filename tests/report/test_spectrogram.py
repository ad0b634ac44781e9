"""Excerpts and their spectrograms, against tones whose place is known."""

import librosa
import numpy as np
import pytest
import torch

from resp_agent.corpus.schema import SAMPLE_RATE_HZ, Event, decode_flac
from resp_agent.report import spectrogram
from resp_agent.report.spectrogram import HIGH_HZ, LOW_HZ, RANGE_DB, excerpt, mel_db
from resp_agent.report.style import LIGHT, png_size
from tests.report.made_up import recording


def sounding(waveform: np.ndarray, events=()):
    """A recording of this waveform."""
    made = recording("asthma", "bell", 1.0, 0, "real")
    object.__setattr__(made, "waveform", waveform.astype(np.float32))
    object.__setattr__(made, "events", tuple(events))
    return made


@pytest.mark.parametrize("tone_hz", [200, 700, 3000])
def test_a_tone_is_loudest_in_its_band(tone_hz):
    t = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    decibels = mel_db(0.5 * np.sin(2 * np.pi * tone_hz * t))
    bands_hz = librosa.mel_frequencies(96 + 2, fmin=LOW_HZ, fmax=HIGH_HZ)
    band = decibels[:, 50].argmax()
    assert bands_hz[band] < tone_hz < bands_hz[band + 2]
    assert decibels.shape == (96, 100)
    assert decibels.max() == 0
    assert decibels.min() == -RANGE_DB


def test_same_as_torch():
    wave = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE_HZ)
    padded = torch.from_numpy(np.pad(wave, (1024, 2048)))
    window = torch.hann_window(640, dtype=torch.float64)
    spectrum = torch.stft(padded, 2048, 160, 640, window, center=False, return_complex=True)[:, :100]
    filters = librosa.filters.mel(sr=SAMPLE_RATE_HZ, n_fft=2048, n_mels=96, fmin=LOW_HZ, fmax=HIGH_HZ)
    mel = filters @ spectrum.abs().square().numpy()
    np.testing.assert_allclose(mel_db(wave), np.maximum(10 * np.log10(mel / mel.max()), -RANGE_DB), atol=1e-6)


def test_ten_decibels_are_ten_decibels():
    t = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    tone = 0.5 * np.sin(2 * np.pi * 500 * t) * np.where(t < 0.5, 1, 10**-0.5)
    decibels = mel_db(tone)
    band = decibels[:, 20].argmax()
    assert decibels[band, 80] - decibels[band, 20] == pytest.approx(-10, abs=0.05)


@pytest.mark.parametrize("samples", [0, 1, 100])
def test_silence_and_scraps_have_a_picture(samples):
    part = excerpt(sounding(np.zeros(samples)), 3.0)
    assert (mel_db(part.waveform) == -RANGE_DB).all()
    assert np.isfinite(part.level_db)
    assert spectrogram.spectrogram_figure(part, 3.0, LIGHT)


def test_excerpt_goes_to_the_events():
    events = [Event(12.0, 12.5, "wheeze"), Event(12.8, 13.0, "wheeze"), Event(2.0, 2.1, "fine crackle")]
    part = excerpt(sounding(np.zeros(20 * SAMPLE_RATE_HZ), events), 3.0)
    assert part.start_s == pytest.approx(11.9)
    assert part.duration_s == 3.0
    assert part.cut
    assert [(event.start_s, event.end_s) for event in part.events] == [
        pytest.approx((0.1, 0.6)),
        pytest.approx((0.9, 1.1)),
    ]


def test_short_recordings_stay_whole():
    wave = np.linspace(-0.5, 0.5, 1000)
    part = excerpt(sounding(wave), 3.0)
    assert not part.cut
    np.testing.assert_allclose(decode_flac(spectrogram.audio(part)), wave, atol=1 / 32768)


def test_all_spectrograms_have_one_size():
    parts = [excerpt(recording("asthma", "bell", length_s, 0, "real"), 10.0) for length_s in (1.0, 4.0)]
    assert len({png_size(spectrogram.spectrogram_figure(part, 4.0, LIGHT)) for part in parts}) == 1


def test_an_unknown_event_kind_is_still_marked():
    part = excerpt(sounding(np.zeros(SAMPLE_RATE_HZ), [Event(0.1, 0.4, "squawk")]), 3.0)
    bare = excerpt(sounding(np.zeros(SAMPLE_RATE_HZ)), 3.0)
    assert spectrogram.spectrogram_figure(part, 1.0, LIGHT) != spectrogram.spectrogram_figure(bare, 1.0, LIGHT)
