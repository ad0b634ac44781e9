"""Writing a corpus directory: whole or not at all, in files of the stated size."""

import os
import platform
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from resp_agent.corpus import write
from resp_agent.corpus.dataset import MANIFEST, Corpus
from resp_agent.corpus.schema import Recording, audio_id, from_pcm, to_pcm
from resp_agent.corpus.write import write_corpus
from resp_agent.errors import UserError
from tests.audio.waves import noise


def recording(name: object, split: str = "train", label: str = "asthma", **changes) -> Recording:
    waveform = from_pcm(to_pcm(noise(name, 0.05)))
    fields = {
        "id": audio_id(waveform),
        "source": "tests",
        "patient_id": f"tests:{name}",
        "source_label": label,
        "style": "bell",
        "original_sample_rate_hz": 4_000,
        "narrative": "A note.",
        "quality": {"peak_db": -6.0, "rms_db": -20.0, "clipped_share": 0.0},
    }
    return Recording(waveform=waveform, split=split, label=label, **(fields | changes))


def some(count: int = 3, **changes) -> list[Recording]:
    return [recording(i, split, **changes) for i in range(count) for split in ("train",)] + [
        recording("v", "valid", **changes),
        recording("t", "test", **changes),
    ]


def test_what_is_written_is_read_back(tmp_path):
    rows = some()
    corpus = write_corpus(iter(rows), tmp_path / "out", notes=["a note"], info={"seed": 7})
    back = [one for split in ("train", "valid", "test") for one in corpus.split(split)]
    assert [(one.id, one.split, one.patient_id) for one in back] == [
        (one.id, one.split, one.patient_id) for one in rows
    ]
    assert all((a.waveform == b.waveform).all() for a, b in zip(rows, back, strict=True))
    assert corpus.notes == ("a note",)
    assert corpus.manifest["seed"] == 7


def test_files_and_row_groups_have_the_stated_size(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "ROWS_PER_GROUP", 4)
    monkeypatch.setattr(write, "ROWS_PER_FILE", 8)
    corpus = write_corpus(some(21), tmp_path / "out")
    files = [pq.ParquetFile(path) for path in sorted((corpus.path / "data" / "train").iterdir())]
    assert [[f.metadata.row_group(g).num_rows for g in range(f.num_row_groups)] for f in files] == [
        [4, 4],
        [4, 4],
        [4, 1],
    ]
    assert [one.id for one in corpus.split("train")] == [recording(i).id for i in range(21)]


def test_the_fingerprint_is_of_the_content(tmp_path):
    fingerprint = write_corpus(some(), tmp_path / "a").fingerprint
    assert write_corpus(some(), tmp_path / "b", notes=["else"]).fingerprint == fingerprint
    assert write_corpus(some(narrative="Other."), tmp_path / "c").fingerprint != fingerprint
    assert write_corpus(some(label="COPD"), tmp_path / "d").fingerprint != fingerprint
    assert write_corpus(some(4), tmp_path / "e").fingerprint != fingerprint


def test_a_failure_leaves_the_earlier_corpus_and_no_remains(tmp_path):
    before = write_corpus(some(), tmp_path / "out")

    def failing():
        yield from some(60)
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        write_corpus(failing(), tmp_path / "out")
    assert Corpus.open(tmp_path / "out").fingerprint == before.fingerprint
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_kill_leaves_no_corpus_and_the_next_build_clears_the_remains(tmp_path):
    code = """
import os, pathlib, signal, sys
from resp_agent.corpus.write import whole
with whole(pathlib.Path(sys.argv[1])) as folder:
    (folder / "half").write_text("a corpus")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path / "out")], check=False)
    assert killed.returncode == -9
    assert not (tmp_path / "out").exists()
    assert len(list(tmp_path.iterdir())) == 1
    write_corpus(some(), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_is_not_a_corpus_is_never_replaced(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "out", tmp_path / "file"):
        with pytest.raises(UserError, match="not a corpus: choose another"):
            write_corpus(some(), out)
    assert (tmp_path / "out" / "thesis.txt").exists()


def test_an_empty_directory_and_an_earlier_corpus_are_replaced(tmp_path):
    (tmp_path / "out").mkdir()
    first = write_corpus(some(), tmp_path / "out")
    second = write_corpus(some(9), tmp_path / "out")
    assert first.fingerprint != second.fingerprint
    assert len(second.split("train")) == 9


def test_an_unwritable_place_is_named_with_a_way_out(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot be written .*choose another"):
        write_corpus(some(), tmp_path / "file" / "out")
    if os.geteuid() != 0:
        (tmp_path / "locked").mkdir(mode=0o500)
        with pytest.raises(UserError, match=r"cannot be written .*choose another"):
            write_corpus(some(), tmp_path / "locked" / "out")


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ([recording(1), recording(1)], "twice"),
        ([recording(1, split="dev")], "split 'dev'"),
        ([recording(1, label="vapours")], "label 'vapours'"),
    ],
)
def test_rows_outside_the_schema_are_refused(tmp_path, rows, word):
    with pytest.raises(ValueError, match=word):
        write_corpus(rows, tmp_path / "out")
    assert not (tmp_path / "out" / MANIFEST).exists()


def test_a_kill_between_two_renames_leaves_the_earlier_corpus(tmp_path):
    earlier = write_corpus(some(), tmp_path / "out")
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    earlier.path.rename(tmp_path / f".out.{platform.node()}-{dead.pid}.old")
    with pytest.raises(RuntimeError), write.whole(tmp_path / "out"):
        raise RuntimeError("nothing new")
    assert Corpus.open(tmp_path / "out").fingerprint == earlier.fingerprint
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
