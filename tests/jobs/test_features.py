"""`resp-agent features`: what it computes, what it says, what it refuses, and that Ray changes nothing."""

from pathlib import Path

import numpy as np
import pytest

from jobs import bulk
from jobs.features import main
from resp_agent.corpus.bulk import in_threads
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.schema import SPLITS, Recording, audio_id, from_pcm
from resp_agent.corpus.write import write_corpus
from resp_agent.encoders.cache import Encoding, FeatureCache
from resp_agent.encoders.log_mel import LogMel
from resp_agent.randomness import stream
from resp_agent.settings import AudioSettings, EncoderSettings

ROWS = {"train": 60, "valid": 3, "test": 4, "none": 5}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    recordings = [_recording(split, index) for split, count in ROWS.items() for index in range(count)]
    return write_corpus(recordings, tmp_path_factory.mktemp("features") / "corpus")


def _recording(split: str, index: int) -> Recording:
    rng = stream("features", split, index)
    waveform = from_pcm(rng.integers(-9_000, 9_000, rng.integers(4_000, 9_000)).astype(np.int16))
    name = audio_id(waveform)
    known = {"source": "made up", "label": "asthma", "source_label": "asthma", "style": "bell", "narrative": ""}
    return Recording(name, patient_id=name, waveform=waveform, original_sample_rate_hz=16_000, split=split, **known)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_features_of_a_corpus_are_computed_once_and_their_place_is_told(corpus, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = [str(corpus.path), "--out", "out", "--audio.mels", "32"]
    assert main(command) == 0
    said = capsys.readouterr().out
    cache = FeatureCache(tmp_path / "out", LogMel(AudioSettings(mels=32)))
    size = sum(map(len, contents(tmp_path / "out").values()))
    assert "67 recordings, of which 67 are missing: about " in said
    assert "features of 67 of 67 recordings, " in said
    assert f"features {cache.folder} ({size / 1e6:.1f} MB)" in said
    for split in SPLITS:
        for one in corpus.split(split):
            np.testing.assert_array_equal(cache.frames(one.id), cache.encoder.encode([one.waveform])[0])
    assert len(cache.missing([one.id for one in corpus.descriptions("none")])) == 5

    assert main([*command, "--unlabelled"]) == 0
    assert "72 recordings, of which 5 are missing" in capsys.readouterr().out
    assert cache.missing([one.id for one in corpus.descriptions("none")]) == []


def test_a_preset_gives_what_no_flag_names(corpus, tmp_path, capsys):
    assert main([str(corpus.path), "--out", str(tmp_path), "--preset", "smoke", "--where", "local"]) == 0
    assert FeatureCache(tmp_path, LogMel(AudioSettings())).missing([corpus.descriptions("test")[0].id]) == []
    assert main([str(corpus.path), "--out", str(tmp_path), "--preset", "huge"]) == 2
    assert "there is no preset 'huge'" in capsys.readouterr().err


@pytest.mark.parametrize(("flags", "kind"), [(["--units"], "int16"), ([], "float32")])
def test_beats_gives_features_and_units(corpus, shared, tmp_path, flags, kind):
    weights = shared / "reference/released"
    command = ["--encoder.kind", "beats", "--encoder.weights", str(weights), *flags, "--out", str(tmp_path)]
    assert main([str(corpus.path), *command]) == 0
    [folder] = tmp_path.iterdir()
    work = Encoding(EncoderSettings("beats", str(weights)), AudioSettings(), tmp_path, units=bool(flags))
    cache, one = work.cache(), corpus.split("valid")[0]
    frames = cache.frames(one.id)
    assert cache.folder == folder
    assert frames.dtype == kind
    assert frames.shape == (cache.encoder.frame_count(len(one.waveform)), cache.encoder.width)
    np.testing.assert_allclose(frames, cache.encoder.encode([one.waveform])[0], atol=1e-5)
    assert work.heavy


def test_half_precision_takes_half_the_room(corpus, tmp_path):
    for kind in ("float16", "float32"):
        assert main([str(corpus.path), "--out", str(tmp_path / kind), "--encoder.precision", kind]) == 0
    half, whole = (sum(map(len, contents(tmp_path / kind).values())) for kind in ("float16", "float32"))
    assert half == pytest.approx(whole / 2, rel=0.05)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--workers", "0"], "0 workers compute nothing: give --workers at least 1"),
        (["--threads", "0"], "0 threads cannot compute: give --threads at least 1"),
        (["--cpus", "0"], "a worker cannot reserve 0.0 CPUs: give --cpus above 0"),
        (["--units"], "the encoder log-mel has no units: give --encoder.kind beats, or leave out --units"),
        (["--encoder.kind", "beats"], "the encoder beats needs weights"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(corpus, tmp_path, capsys, flags, sentence):
    assert main([str(corpus.path), "--out", str(tmp_path / "out"), *flags]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_submitted_job_has_absolute_paths(corpus, monkeypatch, capsys):
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    assert main([str(corpus.path), "--out", "out"]) == 2
    assert "--out out is relative" in capsys.readouterr().err
    assert main(["corpus", "--out", "/out"]) == 2
    assert "CORPUS corpus is relative" in capsys.readouterr().err


def test_no_corpus_is_told(tmp_path, capsys):
    assert main([str(tmp_path / "nowhere"), "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("resp-agent: there is no corpus at ")


@pytest.mark.parametrize(("where", "worth", "on_ray"), [("auto", 67, True), ("auto", 68, False), ("local", 1, False)])
def test_ray_is_for_many_recordings_that_are_missing(corpus, tmp_path, monkeypatch, where, worth, on_ray):
    asked = []
    monkeypatch.setattr(bulk, "WORTH_RAY", worth)
    monkeypatch.setattr(bulk, "on_ray", lambda *place: asked.append(place) or in_threads())
    command = [str(corpus.path), "--out", str(tmp_path), "--where", where, "--workers", "3", "--cpus", "0.25"]
    assert main(command) == main(command) == 0
    assert asked == [(3, 0.25, 0.0)] * on_ray


@pytest.mark.ray
def test_ray_computes_what_one_process_computes(small_ray, corpus, tmp_path):
    for where in ("ray", "local"):
        assert main([str(corpus.path), "--out", str(tmp_path / where), "--where", where, "--workers", "2"]) == 0
    assert contents(tmp_path / "ray") == contents(tmp_path / "local") != {}
