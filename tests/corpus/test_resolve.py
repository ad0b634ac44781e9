"""From what the user names to a corpus."""

import dataclasses
import os
from pathlib import Path

import pytest

from resp_agent.corpus import resolve
from resp_agent.corpus.resolve import parse_sources, resolve_corpus
from resp_agent.corpus.write import write_corpus
from resp_agent.errors import UserError
from resp_agent.settings import smoke
from tests.corpus import layouts
from tests.corpus.test_write import recording


def settings(corpus: str, seed: int = 0):
    return dataclasses.replace(smoke(), corpus=corpus, seed=seed)


@pytest.fixture
def raw(tmp_path):
    icbhi, sprsound = layouts.icbhi(tmp_path / "a,b"), layouts.sprsound(tmp_path / "c d=e")
    return f"icbhi={icbhi},sprsound={sprsound}"


def counted(monkeypatch, name: str) -> list:
    calls, inner = [], getattr(resolve, name)
    monkeypatch.setattr(resolve, name, lambda *args, **kwargs: calls.append(args) or inner(*args, **kwargs))
    return calls


def test_raw_sources_are_built_once_for_the_same_files_and_seed(raw, tmp_path, monkeypatch):
    calls = counted(monkeypatch, "build_corpus")
    out = tmp_path / "out"
    first = resolve_corpus(settings(raw), out)
    assert first.manifest["counts"]["found"] == 29
    assert resolve_corpus(settings(raw), out).fingerprint == first.fingerprint
    assert len(calls) == 1
    assert resolve_corpus(settings(raw, seed=1), out).fingerprint != first.fingerprint
    resolve_corpus(settings(raw), out)
    assert len(calls) == 3
    wav = next((tmp_path / "a,b").rglob("*.wav"))
    os.utime(wav, (1, 1))
    resolve_corpus(settings(raw), out)
    assert len(calls) == 4


def test_a_damaged_earlier_build_is_built_again(raw, tmp_path, monkeypatch):
    calls = counted(monkeypatch, "build_corpus")
    corpus = resolve_corpus(settings(raw), tmp_path / "out")
    next((corpus.path / "data" / "train").iterdir()).write_bytes(b"")
    assert resolve_corpus(settings(raw), tmp_path / "out").fingerprint == corpus.fingerprint
    assert len(calls) == 2


def test_a_corpus_directory_is_opened_where_it_is(raw, tmp_path):
    built = resolve_corpus(settings(raw), tmp_path / "built")
    opened = resolve_corpus(settings(str(built.path)), tmp_path / "out")
    assert (opened.path, opened.fingerprint) == (built.path, built.fingerprint)
    assert not (tmp_path / "out").exists()


def test_the_embedded_corpus_is_simulated_once_for_the_same_settings_and_seed(tmp_path, monkeypatch):
    calls = counted(monkeypatch, "write_corpus")
    corpus = resolve_corpus(settings("embedded"), tmp_path / "out")
    assert resolve_corpus(settings("embedded"), tmp_path / "out").fingerprint == corpus.fingerprint
    assert len(calls) == 1
    assert len(corpus.split("train")) == sum(smoke().simulation.train_counts)
    assert len(corpus.labels) == 8
    assert resolve_corpus(settings("embedded", seed=1), tmp_path / "other").fingerprint != corpus.fingerprint


def test_sources_are_parsed_with_commas_and_blanks_in_their_paths(raw, tmp_path):
    assert parse_sources([raw]) == parse_sources([raw.partition(",sprsound")[0], f"sprsound={tmp_path / 'c d=e'}"])
    assert parse_sources([raw]) == {"icbhi": tmp_path / "a,b", "sprsound": tmp_path / "c d=e"}
    assert list(parse_sources([raw.replace(",sprsound", " , sprsound")])) == ["icbhi", "sprsound"]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("nowhere", ["no corpus at nowhere", "check the path"]),
        ("icbhi=nowhere", ["source icbhi has no directory at nowhere", "give the folder"]),
        ("kaggle=.", ["no reader for source 'kaggle'", "icbhi, sprsound"]),
        ("icbhi=", ["source 'icbhi=' is not understood", "write <source>=<path>"]),
        ("=.", ["source '=.' is not understood"]),
        ("icbhi=.,icbhi=.", ["source 'icbhi' is named twice"]),
        ("icbhi=blank", ["no recording was found in icbhi=blank"]),
        ("icbhi=hostile", ["none of the 1 recordings found in icbhi=hostile", "check that"]),
        ("blank", ["blank is not a corpus", "<source>=<path>"]),
        ("icbhi=few", ["no recording in its valid split", "at least 3 patients"]),
        ("icbhi=alike", ["has only the label 'COPD'", "add a source"]),
    ],
)
def test_what_cannot_be_used_is_named_with_a_way_out(tmp_path, monkeypatch, spec, words):
    monkeypatch.chdir(tmp_path)
    Path("blank").mkdir()
    Path("hostile").mkdir()
    Path("hostile/noise.wav").write_text("not audio")
    layouts.icbhi(Path("few"), {"101": "COPD", "102": "Healthy"})
    layouts.icbhi(Path("alike"), {"101": "COPD", "102": "COPD", "103": "COPD"})
    with pytest.raises(UserError) as caught:
        resolve_corpus(settings(spec), tmp_path / "out")
    assert all(word in str(caught.value) for word in words)
    assert "\n" not in str(caught.value)


def test_a_prebuilt_corpus_without_a_test_split_is_not_fit_for_a_run(tmp_path):
    rows = [recording(1), recording(2, label="COPD"), recording(3, "valid")]
    corpus = write_corpus(rows, tmp_path / "corpus")
    with pytest.raises(UserError, match="no recording in its test split"):
        resolve_corpus(settings(str(corpus.path)), tmp_path / "out")


def test_a_corpus_without_training_recordings_is_no_corpus_for_a_run(tmp_path):
    corpus = write_corpus([recording(1, "valid")], tmp_path / "corpus")
    with pytest.raises(UserError, match=r"has no training recording: see its quarantine.parquet"):
        resolve_corpus(settings(str(corpus.path)), tmp_path / "out")


def test_a_label_to_be_scored_that_was_never_trained_is_named(tmp_path):
    rows = [recording(1, label="COPD"), recording(2, "valid", "asthma"), recording(3, "test", "COPD")]
    corpus = write_corpus(rows, tmp_path / "corpus")
    with pytest.raises(UserError, match=r"label 'asthma' in valid and no training recording of it: add some"):
        resolve_corpus(settings(str(corpus.path)), tmp_path / "out")


def test_labels_of_the_test_that_training_lacks_are_refused_unless_a_score_leaves_them_out(tmp_path):
    rows = [recording(1), recording(2, label="COPD"), recording(3, "valid")]
    known, strange = recording(4, "test"), recording(5, "test", label="pneumonia")
    corpus = write_corpus([*rows, known, strange], tmp_path / "corpus")
    with pytest.raises(UserError, match="label 'pneumonia' in test and no training recording"):
        resolve_corpus(settings(str(corpus.path)), tmp_path / "out")
    assert "pneumonia" in resolve_corpus(settings(str(corpus.path)), tmp_path / "out", every_label=False).held("test")
    alone = write_corpus([*rows, strange], tmp_path / "alone")
    with pytest.raises(UserError, match="label 'pneumonia' in test"):
        resolve_corpus(settings(str(alone.path)), tmp_path / "out", every_label=False)
