"""Opening a corpus: what it tells, and one sentence for what is none."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from resp_agent.corpus import dataset
from resp_agent.corpus.dataset import MANIFEST, Corpus
from resp_agent.corpus.schema import SCHEMA
from resp_agent.corpus.write import write_corpus
from resp_agent.errors import UserError
from resp_agent.taxonomy import UNLABELLED
from tests.corpus.test_write import recording


@pytest.fixture
def corpus(tmp_path):
    rows = [
        recording(1, label="COPD", style="phone"),
        recording(2, label="control group"),
        recording(3, label="asthma"),
        recording(4, "valid", "COPD", style="contact"),
        recording(5, "test", "asthma"),
    ]
    return write_corpus(rows, tmp_path / "corpus")


def test_labels_follow_the_taxonomy_and_styles_the_alphabet(corpus):
    assert corpus.labels == ("control group", "COPD", "asthma")
    assert corpus.styles == ("bell", "phone"), "a style that training never heard cannot be rendered"
    assert corpus.held("valid") == ("COPD",)
    assert (corpus.notes, corpus.quarantined) == ((), 0)
    assert Corpus.open(corpus.path).fingerprint == corpus.fingerprint


def test_audio_is_decoded_when_a_split_is_asked_for_and_then_kept(corpus, monkeypatch):
    decoded = []
    monkeypatch.setattr(dataset, "from_table", lambda table: decoded.append(len(table)) or ["decoded"])
    assert corpus.table("train").num_rows == 3
    assert "audio" not in corpus.table("train").column_names
    assert corpus.table("train", ["label", "id"]).column_names == ["label", "id"]
    assert decoded == []
    assert corpus.split("train") is corpus.split("train")
    assert decoded == [3]


def test_a_split_without_recordings_is_an_empty_table(tmp_path):
    corpus = write_corpus([recording(1)], tmp_path / "corpus")
    assert corpus.split("test") == []
    assert corpus.held("test") == ()
    assert corpus.table("valid").schema.names == [name for name in SCHEMA.names if name != "audio"]
    with pytest.raises(ValueError, match="split 'dev' is none of train, valid, test, none"):
        corpus.table("dev")


def test_a_missing_path_and_a_folder_that_is_no_corpus_are_named(tmp_path, corpus):
    with pytest.raises(UserError, match=r"no corpus at .*nowhere: check the path"):
        Corpus.open(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"is not a corpus .*: give a directory"):
        Corpus.open(tmp_path)
    with pytest.raises(UserError, match="is not a corpus"):
        Corpus.open(corpus.path / MANIFEST)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '{"schema": "1"}', "\x00"])
def test_a_damaged_manifest_is_no_corpus(corpus, text):
    (corpus.path / MANIFEST).write_text(text)
    with pytest.raises(UserError, match="is not a corpus"):
        Corpus.open(corpus.path)


def test_another_schema_is_named(corpus):
    manifest = json.loads((corpus.path / MANIFEST).read_text())
    (corpus.path / MANIFEST).write_text(json.dumps(manifest | {"schema": "0"}))
    with pytest.raises(UserError, match=r"has schema '0' and this version reads '4': build it again"):
        Corpus.open(corpus.path)


@pytest.mark.parametrize("change", ["dropped", "retyped", "damaged"])
def test_files_of_another_schema_are_named(corpus, change):
    (path,) = (corpus.path / "data" / "valid").iterdir()
    table = pq.read_table(path, partitioning=None)
    if change == "damaged":
        path.write_bytes(b"PAR1")
    elif change == "dropped":
        pq.write_table(table.drop_columns("narrative"), path)
    else:
        retyped = table.set_column(table.column_names.index("narrative"), "narrative", pa.array([1]))
        pq.write_table(retyped, path)
    word = "not readable as Parquet" if change == "damaged" else "'narrative'"
    with pytest.raises(UserError, match=f"{word}.*build it again"):
        Corpus.open(corpus.path)


def test_a_corpus_that_lost_files_is_named(corpus):
    next((corpus.path / "data" / "train").iterdir()).unlink()
    with pytest.raises(UserError, match="says that train has 3 recordings and it has 0: build it again"):
        Corpus.open(corpus.path)


def test_a_corpus_without_training_recordings_opens_for_those_who_count(tmp_path):
    rows = [recording(1, "test"), recording(2, "none", UNLABELLED)]
    corpus = write_corpus(rows, tmp_path / "corpus")
    assert (corpus.labels, corpus.held("test"), corpus.held("none")) == ((), ("asthma",), ())
    assert corpus.table("none")["label"].to_pylist() == [UNLABELLED]
    assert write_corpus([], tmp_path / "empty").labels == ()


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_what_no_one_diagnosed_is_in_no_split(tmp_path, split):
    with pytest.raises(ValueError, match="label 'unlabelled'"):
        write_corpus([recording(1, split, UNLABELLED)], tmp_path / "corpus")
