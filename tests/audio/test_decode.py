"""Decoding: what comes out of good files, and one sentence about the others."""

import csv
import os
import sys
import time

import av
import numpy as np
import pytest
import soundfile

from resp_agent.audio.decode import Unreadable, decode
from resp_agent.settings import QualitySettings
from tests.audio.waves import hostile, noise, tone


@pytest.mark.parametrize("rate_hz", [4_000, 8_000, 10_000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_a_tone_comes_out_as_the_same_tone_at_16_khz(tmp_path, rate_hz, subtype):
    soundfile.write(tmp_path / "tone.wav", tone(rate_hz=rate_hz), rate_hz, subtype=subtype)
    decoded = decode(tmp_path / "tone.wav")
    assert decoded.original_sample_rate_hz == rate_hz
    assert decoded.waveform.dtype == np.float32
    assert decoded.waveform.shape == (16_000,)
    # Away from the ends, where the resampler's filter has no past or future.
    np.testing.assert_allclose(decoded.waveform[500:-500], tone()[500:-500], atol=2e-4)


def test_channels_are_averaged(tmp_path):
    left, right = noise("left"), noise("right")
    soundfile.write(tmp_path / "stereo.wav", np.stack([left, right], axis=1), 16_000, subtype="FLOAT")
    np.testing.assert_allclose(decode(tmp_path / "stereo.wav").waveform, (left + right) / 2, atol=1e-7)


@pytest.mark.parametrize(("suffix", "slack"), [("flac", 1e-4), ("ogg", 0.05), ("mp3", 0.05), ("aiff", 1e-4)])
def test_other_formats_are_read(tmp_path, suffix, slack):
    soundfile.write(tmp_path / f"tone.{suffix}", tone(), 16_000)
    waveform = decode(tmp_path / f"tone.{suffix}").waveform
    np.testing.assert_allclose(waveform[1_000:15_000], tone()[1_000:15_000], atol=slack)


def test_files_larger_than_16_bit_integers_and_with_rf64_headers_are_read(tmp_path):
    soundfile.write(tmp_path / "tone.wav", tone(), 16_000, format="RF64")
    assert decode(tmp_path / "tone.wav").waveform.shape == (16_000,)


HOSTILE = (
    "empty",
    "truncated",
    "truncated in its header",
    "truncated flac",
    "text",
    "a picture in RIFF",
    "0 Hz",
    "1 Hz",
    "4 GHz",
    "64 channels",
    "no channel",
    "no audio",
    "no format",
    "many parts",
    "a part that never ends",
    "2^32 bytes claimed",
    "2^63 bytes claimed",
    "too long",
    "an unknown coding",
    "random bytes as flac",
    "random bytes as ogg",
    "NaN",
    "infinite",
    "a directory",
    "a broken link",
    "missing",
)


@pytest.fixture(scope="module")
def hostile_files(tmp_path_factory):
    files = hostile(tmp_path_factory.mktemp("hostile"))
    assert set(files) == set(HOSTILE)
    return files


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused_in_one_sentence_at_once(hostile_files, case):
    path, word = hostile_files[case]
    start = time.monotonic()
    with pytest.raises(Unreadable) as caught:
        decode(path)
    assert time.monotonic() - start < 5
    assert word in caught.value.reason
    assert "\n" not in caught.value.reason
    assert path.name not in caught.value.reason


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(Unreadable, match="not a regular file"):
        decode(tmp_path / "pipe.wav")


def test_a_file_that_names_its_rate_above_what_is_wanted_is_refused_by_that_setting(tmp_path):
    soundfile.write(tmp_path / "tone.wav", tone(), 16_000)
    with pytest.raises(Unreadable, match="2000 to 8000 Hz are plausible"):
        decode(tmp_path / "tone.wav", QualitySettings(highest_rate_hz=8_000))


def container(path, rate_hz: int = 48_000, channels: int = 1, coding: str = "libopus", seconds: int = 1):
    """Some tone in the container that the path's suffix names."""
    sound = np.repeat(tone(rate_hz=rate_hz, duration_s=seconds)[None], channels, axis=0).T.reshape(1, -1)
    with av.open(str(path), "w") as out:
        stream = out.add_stream(coding, rate=rate_hz, layout="mono" if channels == 1 else "stereo")
        frame = av.AudioFrame.from_ndarray(sound, format="flt", layout=stream.layout.name)
        frame.sample_rate = rate_hz
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)
    return path


@pytest.mark.parametrize(("suffix", "coding"), [("webm", "libopus"), ("m4a", "aac"), ("aac", "aac")])
@pytest.mark.parametrize("channels", [1, 2])
def test_what_libsndfile_does_not_read_goes_through_ffmpeg(tmp_path, suffix, coding, channels):
    decoded = decode(container(tmp_path / f"tone.{suffix}", channels=channels, coding=coding))
    assert decoded.original_sample_rate_hz == 48_000
    assert decoded.original_format.endswith(coding.removeprefix("lib").upper())
    # Coders add some silence before and after.
    middle = decoded.waveform[4_000:12_000]
    assert np.abs(np.fft.rfft(middle)).argmax() == 150
    assert np.std(middle) == pytest.approx(0.3 / np.sqrt(2), rel=0.05)


def test_a_broken_webm_is_refused(tmp_path):
    whole = container(tmp_path / "whole.webm").read_bytes()
    (tmp_path / "stub.webm").write_bytes(whole[:100])
    (tmp_path / "noise.webm").write_bytes(whole[:64] + noise("webm").tobytes())
    for name in ("stub.webm", "noise.webm"):
        with pytest.raises(Unreadable):
            decode(tmp_path / name)


@pytest.mark.parametrize("suffix", ["ogg", "opus", "aiff", "wav", "flac", "webm", "mp4"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_half_a_file_is_no_shorter_recording(tmp_path, suffix, share):
    path = tmp_path / f"whole.{suffix}"
    if suffix in ("webm", "mp4"):
        container(path, coding="libopus" if suffix == "webm" else "aac", seconds=4)
    else:
        sound = np.concatenate([tone(hz=200 + 100 * n, rate_hz=48_000) + noise(n, rate_hz=48_000) for n in range(4)])
        kind = {"format": "OGG", "subtype": "OPUS"} if suffix == "opus" else {}
        soundfile.write(path, sound, 48_000, **kind)
    assert len(decode(path).waveform) == pytest.approx(4 * 16_000, abs=2_000)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(Unreadable):
        decode(path)


def test_without_pyav_a_webm_says_what_to_install(tmp_path, monkeypatch):
    path = container(tmp_path / "tone.webm")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(Unreadable, match=r"pip install 'resp-agent-ray\[av\]'"):
        decode(path)


@pytest.mark.parametrize("name", ["naïve – レ.wav", "a\nb.wav", "blank .wav", os.fsdecode(b"\xff\xfe.wav")])
def test_odd_names_are_read(tmp_path, name):
    soundfile.write(tmp_path / "plain.wav", tone(), 16_000)
    (tmp_path / "plain.wav").rename(tmp_path / name)
    assert decode(tmp_path / name).waveform.shape == (16_000,)


@pytest.mark.corpora
def test_every_wav_of_the_real_corpora_has_the_length_that_the_manifest_says(shared):
    with (shared / "corpora" / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["path"].endswith(".wav")]
    assert {row["corpus"] for row in rows} >= {"icbhi2017", "sprsound", "kauh", "uk_covid19_vocal"}
    for row in rows:
        decoded = decode(shared / "corpora" / row["path"])
        assert decoded.original_sample_rate_hz == int(row["sample_rate"])
        assert len(decoded.waveform) / 16_000 == pytest.approx(float(row["seconds"]), abs=1e-3)
