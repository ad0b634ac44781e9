"""Cycles as a corpus: cut where they are marked, on the official split, and nothing in the text tells the class."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from resp_agent.corpus.cycles import cycle_corpus
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.schema import (
    CYCLE_CLASSES,
    CYCLES_SCHEMA,
    Event,
    Recording,
    audio_id,
    from_pcm,
    to_pcm,
    to_table,
)
from resp_agent.corpus.write import write_tables
from resp_agent.errors import UserError
from tests.audio.waves import noise

MARKED = ((0.0, 0.4, "normal"), (0.4, 0.7, "crackle"), (0.7, 0.8, "wheeze"), (0.5, 1.0, "both"))


def recording(patient: int, official: str | None, split: str = "train", **changes) -> Recording:
    waveform = from_pcm(to_pcm(noise(f"{patient} {official}", 1.0)))
    fields = {
        "label": "COPD",
        "events": (Event(0.4, 0.7, "coarse crackle"),),
        "narrative": "Coarse crackles and a wheeze are heard.",
        "quality": {"peak_db": -6.0, "rms_db": -20.0, "clipped_share": 0.0},
        "age_years": 63.0,
        "sex": "female",
        "site": "trachea",
    }
    return Recording(
        audio_id(waveform), "icbhi", f"icbhi:{patient}", source_label="COPD", style="Meditron", waveform=waveform,
        original_sample_rate_hz=4_000, split=split, official_split=official, **(fields | changes),
    )  # fmt: skip


def built(folder, recordings, marked=MARKED) -> Corpus:
    """A corpus of recordings, all with the same cycles."""
    cycles = [
        {
            **{name: getattr(one, name) for name in ("id", "source", "patient_id", "split", "official_split")},
            "cycle": number,
            "start_s": start,
            "end_s": end,
            "heard": heard,
        }
        for one in recordings
        for number, (start, end, heard) in enumerate(marked)
    ]
    table = pa.Table.from_pylist(cycles, schema=CYCLES_SCHEMA) if cycles else None
    return write_tables([to_table(recordings)], folder, cycles=table)


PARTS = ["train"] * 5 + ["test"] * 3


@pytest.fixture
def recordings():
    """Five patients of the official training part and three of the test part, on splits that say otherwise."""
    splits = ("test", "valid", "train", "none")
    return [recording(number, part, splits[number % 4]) for number, part in enumerate(PARTS)]


@pytest.fixture
def corpus(recordings, tmp_path):
    return built(tmp_path / "corpus", recordings)


def test_each_cycle_is_a_row_of_its_audio_and_class(corpus, recordings, tmp_path):
    cycles = cycle_corpus(corpus, tmp_path / "cycles", 0)
    assert cycles.labels == cycles.label_set == CYCLE_CLASSES
    rows = [one for split in ("train", "valid", "test") for one in cycles.split(split)]
    assert len(rows) == len({one.id for one in rows}) == 8 * 4
    for whole in recordings:
        own = {one.label: one for one in rows if one.patient_id == whole.patient_id}
        for start, end, heard in MARKED:
            first, last = round(start * 16_000), round(end * 16_000)
            assert np.array_equal(own[heard].waveform, whole.waveform[first:last])
            assert (own[heard].style, own[heard].official_split) == (whole.style, whole.official_split)


def test_the_test_is_the_official_one_and_validation_is_of_other_training_patients(corpus, tmp_path):
    cycles = cycle_corpus(corpus, tmp_path / "cycles", 0)
    patients = {split: {one.patient_id for one in cycles.descriptions(split)} for split in ("train", "valid", "test")}
    assert patients["test"] == {f"icbhi:{number}" for number in (5, 6, 7)}
    assert len(patients["valid"]) == 1
    assert patients["train"] | patients["valid"] == {f"icbhi:{number}" for number in range(5)}
    assert not patients["train"] & patients["valid"]
    assert cycles.notes == ("no patient is on both sides of the official split",)


def test_texts_tell_nothing_of_what_is_heard(corpus, tmp_path):
    cycles = cycle_corpus(corpus, tmp_path / "cycles", 0)
    for split in ("train", "valid", "test"):
        for one in cycles.descriptions(split):
            assert not any(word in one.narrative.lower() for word in ("crackle", "wheeze", "copd", "heard"))
            assert "63-year-old woman" in one.narrative
            assert "trachea" in one.narrative
            assert one.events == ()


def test_patients_on_both_official_sides_stay_there_and_are_told(recordings, tmp_path):
    twice = recording(0, "test")
    cycles = cycle_corpus(built(tmp_path / "corpus", [*recordings, twice]), tmp_path / "cycles", 0)
    tested = Counter(one.patient_id for one in cycles.descriptions("test"))
    assert tested["icbhi:0"] == 4
    assert cycles.manifest["counts"] == {
        "train": 16, "valid": 4, "test": 16, "none": 0, "excluded": 0, "quarantined": 0, "found": 36,
    }  # fmt: skip
    assert "on both sides of the official split: icbhi:0 (4 training and 4 test cycles)" in cycles.notes[0]


def test_cycles_that_cannot_be_believed_are_set_aside_with_their_reason(recordings, tmp_path):
    unnamed = recording(9, None)
    marked = (*MARKED, (0.9, 1.05, "normal"), (0.9, 1.5, "normal"), (0.2, 0.25, "wheeze"), (0.95, 1.04, "both"))
    cycles = cycle_corpus(built(tmp_path / "corpus", [*recordings, unnamed], marked), tmp_path / "cycles", 0)
    reasons = Counter(row["reason"] for row in cycles.quarantine())
    assert reasons == {
        "it ends at 1.50 s and its recording at 1.00 s": 8,
        "0.05 s is too short (at least 0.1 s)": 2 * 8,
        "the official split does not name its recording": len(marked),
    }
    shortened = [one for one in cycles.split("test") if one.label == "normal" and one.duration_s < 0.2]
    assert [one.duration_s for one in shortened] == pytest.approx([0.1] * 3)


def test_equal_cycles_have_ids_of_their_own(recordings, tmp_path):
    corpus = built(tmp_path / "corpus", recordings, (*MARKED, MARKED[0]))
    cycles = cycle_corpus(corpus, tmp_path / "cycles", 0)
    rows = [one for split in ("train", "valid", "test") for one in cycles.split(split)]
    assert len({one.id for one in rows}) == 8 * 5
    assert len({audio_id(one.waveform) for one in rows}) == 8 * 4


def test_what_is_there_is_built_again_for_another_seed_or_corpus_only(corpus, recordings, tmp_path):
    first = cycle_corpus(corpus, tmp_path / "cycles", 0)
    when = (first.path / "corpus.json").stat().st_mtime_ns
    assert cycle_corpus(corpus, tmp_path / "cycles", 0).fingerprint == first.fingerprint
    assert (first.path / "corpus.json").stat().st_mtime_ns == when
    assert cycle_corpus(corpus, tmp_path / "cycles", 1).manifest["seed"] == 1
    fewer = built(tmp_path / "fewer", recordings[1:])
    assert cycle_corpus(fewer, tmp_path / "cycles", 1).manifest["counts"]["found"] == 7 * 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda rows: [replace(one, source="kauh") for one in rows],
            "no respiratory cycles of ICBHI 2017: give --corp",
        ),
        (lambda rows: rows[:5], "no cycle of the official test part"),
        (lambda rows: rows[5:], "no cycle of the official training part"),
        (lambda rows: rows[4:], "too few patients to hold some out"),
    ],
)
def test_a_corpus_that_cannot_be_used_is_refused(recordings, tmp_path, change, words):
    with pytest.raises(UserError, match=words):
        cycle_corpus(built(tmp_path / "corpus", change(recordings)), tmp_path / "cycles", 0)


def test_a_class_that_nothing_trains_is_refused(recordings, tmp_path):
    corpus = built(tmp_path / "corpus", recordings[:5], MARKED[:3])
    tested = built(tmp_path / "tested", recordings[5:])
    together = write_tables(
        [to_table(recordings)], tmp_path / "both", cycles=pa.concat_tables([corpus.cycles(), tested.cycles()])
    )
    with pytest.raises(UserError, match="no cycle heard as both, which the test asks for"):
        cycle_corpus(together, tmp_path / "cycles", 0)
