"""Building: everything found is built, excluded or quarantined, each outsider with its reason."""

import csv
import errno
import os
import shutil
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from resp_agent.audio.decode import decode
from resp_agent.corpus.build import build_corpus
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.schema import SCHEMA, SPLITS, audio_id
from resp_agent.corpus.sources import SOURCES
from resp_agent.corpus.sources.sprsound import REJECTED
from resp_agent.errors import RunFailed, UserError
from resp_agent.settings import CorpusSettings
from tests.audio.waves import hostile, noise, tone
from tests.corpus import layouts


def rows_of(corpus: Corpus) -> list[dict]:
    return [row for split in SPLITS for row in corpus.table(split).to_pylist()]


def aside(corpus: Corpus, name: str = "quarantine") -> list[dict]:
    return pq.read_table(corpus.path / f"{name}.parquet").to_pylist()


@pytest.fixture
def icbhi(tmp_path):
    return layouts.icbhi(tmp_path / "raw" / "icbhi")


@pytest.fixture
def sprsound(tmp_path):
    return layouts.sprsound(tmp_path / "raw" / "sprsound")


def test_two_sources_become_one_corpus(icbhi, sprsound, tmp_path):
    told = []
    corpus = build_corpus(
        {"sprsound": sprsound, "icbhi": icbhi}, tmp_path / "out", progress=lambda *said: told.append(said)
    )
    rows = rows_of(corpus)
    assert corpus.manifest["counts"] == {
        **Counter(row["split"] for row in rows),
        "none": 0,
        "excluded": 1,
        "quarantined": 0,
        "found": 29,
    }
    assert len(rows) == 28
    assert told == [("found", 29, None), ("decoded", 28, 28), ("stored", 28, 28)]
    assert aside(corpus, "excluded") == [
        {
            "source": "sprsound",
            "path": "train_wav/40000001_5.1_0_p3_12.wav",
            "source_label": "Asthma",
            "reason": REJECTED,
        }
    ]
    assert corpus.labels == ("control group", "COPD", "asthma", "bronchitis", "upper respiratory tract infection")
    assert corpus.styles == (
        "AKG C417L",
        "Littmann 3200",
        "Littmann Classic II SE",
        "Welch Allyn Meditron",
        "Yunting II",
    )
    assert all(row["style"] == row["device"] for row in rows)
    assert corpus.manifest["sources"] == ["icbhi", "sprsound"]
    assert corpus.manifest["roles"] == {"icbhi": "train", "sprsound": "train"}
    assert [note.split("'")[1] for note in corpus.notes] == ["bronchitis", "upper respiratory tract infection"]
    sides = {}
    for row in rows:
        sides.setdefault(row["patient_id"], set()).add(row["split"])
        assert f"{row['age_years']:.0f}" in row["narrative"]
    assert all(len(side) == 1 for side in sides.values())


def test_a_row_holds_the_audio_of_its_file(icbhi, tmp_path):
    corpus = build_corpus({"icbhi": icbhi}, tmp_path / "out")
    recordings = {one.path: one for split in SPLITS for one in corpus.split(split)}
    one = recordings["icbhi/ICBHI_final_database/104_1b1_Al_sc_Meditron.flac"]
    decoded = decode(icbhi / "ICBHI_final_database" / "104_1b1_Al_sc_Meditron.wav")
    assert one.id == audio_id(decoded.waveform) == audio_id(one.waveform)
    np.testing.assert_allclose(one.waveform, decoded.waveform, atol=0.51 / 32768)
    assert one.original_sample_rate_hz == 4_000
    assert one.quality["rms_db"] == pytest.approx(20 * np.log10(np.std(decoded.waveform)), abs=0.01)
    assert [event.kind for event in one.events] == ["coarse crackle", "wheeze", "wheeze + crackle"]


def test_the_same_files_and_seed_give_the_same_corpus_wherever_they_lie(icbhi, sprsound, tmp_path):
    shutil.copytree(tmp_path / "raw", tmp_path / "elsewhere")
    one = build_corpus({"icbhi": icbhi, "sprsound": sprsound}, tmp_path / "one", CorpusSettings(seed=3))
    elsewhere = {name: tmp_path / "elsewhere" / name for name in ("sprsound", "icbhi")}
    other = build_corpus(elsewhere, tmp_path / "other", CorpusSettings(seed=3))
    assert one.fingerprint == other.fingerprint
    files = sorted(path.relative_to(one.path) for path in one.path.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(other.path) for path in other.path.rglob("*") if path.is_file())
    assert all((one.path / file).read_bytes() == (other.path / file).read_bytes() for file in files)
    assert build_corpus(elsewhere, tmp_path / "other", CorpusSettings(seed=4)).fingerprint != one.fingerprint


def test_hostile_files_are_quarantined_and_the_build_goes_on(icbhi, tmp_path):
    clean = build_corpus({"icbhi": icbhi}, tmp_path / "clean")
    database = icbhi / "ICBHI_final_database"
    began = time.monotonic()
    cases = {case: entry for case, entry in hostile(tmp_path / "hostile").items() if entry[0].suffix == ".wav"}
    del cases["missing"]
    words = {}
    for number, (path, word) in enumerate(cases.values()):
        name = f"104_{number}b1_Tc_sc_Meditron"
        shutil.move(path, database / f"{name}.wav")
        (database / f"{name}.txt").write_text(layouts.CYCLES)
        words[f"ICBHI_final_database/{name}.wav"] = word
    for number, (sound, word) in enumerate(
        (
            (noise("s", 0.4), "short"),
            (tone(amplitude=1e-5), "silent"),
            (np.sign(tone()), "clipped"),
            (noise("l", 0.7), "annotation"),
        )
    ):
        name = f"105_{number}b1_Tc_sc_Meditron"
        soundfile.write(database / f"{name}.wav", sound, 16_000, subtype="FLOAT")
        (database / f"{name}.txt").write_text("0.1 0.2 1 0\n0.9 1.0 1 0\n")
        words[f"ICBHI_final_database/{name}.wav"] = word
    os.mkfifo(database / "104_99b1_Tc_sc_Meditron.wav")
    (database / "104_99b1_Tc_sc_Meditron.txt").write_text(layouts.CYCLES)
    words["ICBHI_final_database/104_99b1_Tc_sc_Meditron.wav"] = "not a regular file"
    corpus = build_corpus({"icbhi": icbhi}, tmp_path / "out")
    assert time.monotonic() - began < 5 * len(words)
    quarantined = {row["path"]: row["reason"] for row in aside(corpus)}
    assert quarantined.keys() == words.keys()
    assert len(words) == 27
    assert all(words[path] in reason for path, reason in quarantined.items())
    assert corpus.quarantined == len(words)
    assert corpus.fingerprint == clean.fingerprint


def test_odd_names_are_quarantined_in_readable_text(icbhi, tmp_path):
    soundfile.write(icbhi / "x.wav", noise("x"), 16_000)
    (icbhi / "x.wav").rename(icbhi / os.fsdecode(b"\xff\xfe.wav"))
    (row,) = aside(build_corpus({"icbhi": icbhi}, tmp_path / "out"))
    assert row["path"] == r"\udcff\udcfe.wav"


@pytest.mark.parametrize("name", SOURCES)
def test_no_name_of_a_file_stops_the_build_of_its_source(name, tmp_path):
    root = getattr(layouts, name)(tmp_path / name)
    plain = build_corpus({name: root}, tmp_path / "plain").manifest["counts"]["found"]
    made = set()
    paths = [path for path in sorted(root.rglob("*")) if path.suffix in (".wav", ".mp3", ".ogg", ".webm")]
    for path in paths:
        for odd in (b"\xff", b"\n", "é".encode(), b" "):
            # In the middle of every part, as if a recorder had put it there.
            raw = os.fsencode(path.name)
            for name_now in (raw[:2] + odd + raw[2:], raw[:-4] + odd + raw[-4:]):
                made.add(path.with_name(os.fsdecode(name_now)))
                shutil.copy(path, path.with_name(os.fsdecode(name_now)))
    counts = build_corpus({name: root}, tmp_path / "out").manifest["counts"]
    assert counts["found"] == plain + len(made)


def test_a_source_of_links_is_the_source(sprsound, tmp_path):
    linked = tmp_path / "linked"
    linked.mkdir()
    for path in sprsound.iterdir():
        (linked / path.name).symlink_to(path)
    real = build_corpus({"sprsound": sprsound}, tmp_path / "real")
    assert build_corpus({"sprsound": linked}, tmp_path / "out").fingerprint == real.fingerprint


def test_an_unknown_label_stops_the_build_with_file_and_label(tmp_path):
    patients = layouts.ICBHI_PATIENTS | {"150": "Vapours"}
    root = layouts.icbhi(tmp_path / "raw", patients)
    with pytest.raises(UserError, match=r"150_1b1_Al_sc_.*\.wav: icbhi calls a condition 'Vapours'"):
        build_corpus({"icbhi": root}, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_duplicates_under_one_label_leave_the_first_and_under_two_leave_none(icbhi, tmp_path):
    database = icbhi / "ICBHI_final_database"

    def copy(source: str, target: str) -> None:
        shutil.copy(database / f"{source}.wav", database / f"{target}.wav")

    copy("101_1b1_Al_sc_AKGC417L", "102_1b1_Pr_sc_LittC2SE")
    copy("103_1b1_Al_sc_Litt3200", "104_1b1_Al_sc_Meditron")
    copy("103_1b1_Al_sc_Litt3200", "103_1b1_Pr_sc_Litt3200")
    corpus = build_corpus({"icbhi": icbhi}, tmp_path / "out")
    reasons = {Path(row["path"]).stem: row["reason"] for row in aside(corpus)}
    both = "the same audio is labelled COPD and control group"
    assert reasons == {
        "102_1b1_Pr_sc_LittC2SE": "it is a duplicate: the same audio as 101_1b1_Al_sc_AKGC417L.wav",
        "103_1b1_Al_sc_Litt3200": both,
        "103_1b1_Pr_sc_Litt3200": both,
        "104_1b1_Al_sc_Meditron": both,
    }
    rows = rows_of(corpus)
    assert len(rows) == len({row["id"] for row in rows}) == 10


def test_one_device_is_told_apart_by_clusters(sprsound, tmp_path):
    corpus = build_corpus({"sprsound": sprsound}, tmp_path / "out")
    assert set(corpus.styles) <= {"cluster 1", "cluster 2", "cluster 3"}
    # Every second recording was low-passed: no cluster holds both kinds.
    kinds = {}
    for row in rows_of(corpus):
        kinds.setdefault(row["style"], set()).add(row["site"])
    assert len(kinds) >= 2
    assert all(len(sites) == 1 for sites in kinds.values())


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        ({"nope": "."}, ["no reader", "nope", "icbhi, sprsound, coughvid"]),
        ({"icbhi": "nowhere"}, ["nowhere", "icbhi", "give the folder"]),
        ({"icbhi": "blank"}, ["no recording was found", "blank"]),
        ({"icbhi": "audio only"}, ["none of the 2 recordings", "table of diagnoses", "audio only"]),
    ],
)
def test_what_cannot_be_built_is_named_with_a_way_out(tmp_path, sources, words):
    (tmp_path / "blank").mkdir()
    layouts.icbhi(tmp_path / "audio only", {"101": "COPD"})
    (tmp_path / "audio only" / "ICBHI_Challenge_diagnosis.txt").unlink()
    with pytest.raises(UserError) as caught:
        build_corpus({name: tmp_path / path for name, path in sources.items()}, tmp_path / "out")
    assert all(word in str(caught.value) for word in words)
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


@pytest.mark.corpora
def test_the_real_recordings_are_all_built_excluded_or_quarantined(shared, tmp_path):
    sources = {"icbhi": shared / "corpora" / "icbhi2017", "sprsound": shared / "corpora" / "sprsound"}
    with (shared / "corpora" / "manifest.csv").open(newline="") as file:
        manifest = [row for row in csv.DictReader(file) if row["corpus"] in ("icbhi2017", "sprsound")]
    corpus = build_corpus(sources, tmp_path / "out")
    counts = corpus.manifest["counts"]
    assert len(manifest) == counts["found"] == 327
    assert sum(counts[split] for split in SPLITS) == 284
    assert (counts["excluded"], counts["quarantined"]) == (43, 0)
    rows = rows_of(corpus)
    wanted = Counter(
        (row["corpus"].removesuffix("2017"), row["label"]) for row in manifest if "Poor Quality" not in row["extra"]
    )
    assert Counter((row["source"], row["source_label"]) for row in rows) == wanted
    official = Counter(
        (row["corpus"].removesuffix("2017"), row["split"]) for row in manifest if "Poor" not in row["extra"]
    )
    assert Counter((row["source"], row["official_split"]) for row in rows) == official

    patients = {split: {row["patient_id"] for row in rows if row["split"] == split} for split in SPLITS}
    assert not patients["train"] & (patients["valid"] | patients["test"])
    assert not patients["valid"] & patients["test"]
    assert len(corpus.labels) == 8
    for split in ("valid", "test"):
        assert corpus.held(split) == corpus.labels
    assert len(corpus.styles) == 5
    assert {row["original_sample_rate_hz"] for row in rows} == {4_000, 8_000, 10_000, 44_100}
    # SCHEMA is what was written, to the file.
    for path in corpus.path.glob("data/*/*.parquet"):
        assert pq.read_schema(path).equals(SCHEMA)
        assert pq.read_schema(path).metadata == SCHEMA.metadata


def test_a_full_disk_is_told_and_what_was_done_is_kept(icbhi, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("resp_agent.corpus.write.pq.ParquetWriter", full)
        with pytest.raises(RunFailed, match=r"No space left on device.*the same command goes on"):
            build_corpus({"icbhi": icbhi}, tmp_path / "out")
    told = []
    build_corpus({"icbhi": icbhi}, tmp_path / "out", progress=lambda *said: told.append(said[0]))
    assert "decoded" not in told


def test_a_link_as_output_leads_to_the_corpus(icbhi, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "real")
    corpus = build_corpus({"icbhi": icbhi}, tmp_path / "link")
    assert corpus.path == tmp_path / "real"
    assert (tmp_path / "link").is_symlink()
    assert Corpus.open(tmp_path / "link").fingerprint == corpus.fingerprint
