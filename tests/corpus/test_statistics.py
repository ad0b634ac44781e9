"""What the statistics count, against corpora whose numbers are known."""

import json
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from resp_agent.corpus.schema import CYCLES_SCHEMA, SCHEMA, Event, audio_id, from_pcm, to_pcm
from resp_agent.corpus.sources.found import SetAside
from resp_agent.corpus.statistics import simplified, statistics
from resp_agent.corpus.write import write_corpus
from resp_agent.report.corpus_tables import WIDTH, render
from resp_agent.taxonomy import UNLABELLED
from tests.audio.waves import noise
from tests.corpus.test_write import recording, some

SECONDS = 0.05
"""Duration of what `recording` makes."""
WHEEZE = Event(0.0, 0.01, "wheeze")


def icbhi(name: str, patient: int, split: str, official: str, **changes):
    fields = {"source": "icbhi", "patient_id": f"icbhi:{patient}", "original_sample_rate_hz": 44_100}
    fields |= {"official_split": official, "original_format": "WAV PCM_16", "device": "Meditron"}
    return recording(name, split, changes.pop("label", "COPD"), **(fields | changes))


def nameless(name: str, split: str, **changes):
    waveform = from_pcm(to_pcm(noise(name, SECONDS)))
    return recording(name, split, patient_id=audio_id(waveform), **changes)


ROWS = (
    icbhi("a", 1, "train", "train", original_format="WAV PCM_24", events=(WHEEZE, WHEEZE), age_years=60.0),
    icbhi("b", 1, "train", "test", original_sample_rate_hz=4_000, remarks=("its split file names another",)),
    icbhi("c", 2, "valid", "test", age_years=3.0, events=(Event(0.0, 0.01, "cough"),)),
    icbhi("d", 2, "valid", "test", age_years=4.5, remarks=("its split file names another",)),
    icbhi("e", 3, "train", "train", label="asthma", device="Litt3200", age_years=5.0),
    recording("f", "test", "COPD", source="kauh", official_split="train", narrative_source="model:m"),
    recording("g", "test", "COPD", source="kauh", narrative_source="model:m, rewritten"),
    recording("h", "test", "COPD", source="kauh", narrative_source="template, model refused"),
    nameless("i", "none", source="cough", label=UNLABELLED, narrative_source="model:m"),
    nameless("j", "none", source="cough", label=UNLABELLED, original_format="MP3 LAYER_III", official_split="test"),
)
ASIDE = (
    SetAside("kauh", Path("BP2.wav"), "asthma", "it is a duplicate: the same audio as BP1_Asthma,I E W,P L L,70,M.wav"),
    SetAside("kauh", Path("BP4.wav"), "asthma", "it is a duplicate: the same audio as BP3_COPD,E W,P L R,63,M.wav"),
    SetAside("kauh", Path("BP5.wav"), "asthma", "the same audio is labelled COVID-19 and asthma"),
    SetAside("uk", Path("x.wav"), None, "it lasts 0.2 s and at least 0.5 s are needed"),
    SetAside("uk", Path("y.wav"), None, "it lasts 0.31 s and at least 0.5 s are needed"),
    SetAside("cough", Path("z.mp3"), None, "annotators rejected the recording", excluded=True),
)
INFO = {
    "sources": ["cough", "icbhi", "kauh", "uk"],
    "roles": {"cough": "none", "icbhi": "train", "kauh": "test", "uk": "train"},
    "device_kinds": {"icbhi": "stethoscope", "kauh": "stethoscope", "cough": "as given"},
}


@pytest.fixture
def corpus(tmp_path):
    corpus = write_corpus(ROWS, tmp_path / "corpus", ASIDE, ["a note"], INFO)
    cycles = [("train", "both"), ("train", "normal"), ("train", "normal"), ("valid", "wheeze")]
    rows = [
        {"id": "a", "source": "icbhi", "patient_id": "icbhi:1", "cycle": at, "start_s": 0.0, "end_s": 1.0}
        | {"split": split, "heard": heard}
        for at, (split, heard) in enumerate(cycles)
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=CYCLES_SCHEMA), corpus.path / "cycles.parquet")
    return corpus


@pytest.fixture
def stats(corpus):
    return statistics(corpus)


def test_everything_found_is_counted_once(stats):
    assert [stats[name] for name in ("found", "built", "excluded", "quarantined")] == [16, 10, 1, 5]
    parts = [(row["files"], row["excluded"], row["quarantined"]) for row in stats["by_source"].values()]
    assert [sum(column) for column in zip(*parts, strict=True)] == [10, 1, 5]
    assert json.loads(json.dumps(stats)) == stats, "plain data with string keys"


def test_splits_have_files_hours_durations_and_patients(stats):
    assert list(stats["by_split"]) == ["train", "valid", "test", "none"]
    assert stats["by_split"]["train"] == {
        "files": 3,
        "hours": pytest.approx(3 * SECONDS / 3600),
        "mean_s": pytest.approx(SECONDS),
        "max_s": pytest.approx(SECONDS),
        "patients": 2,
    }
    assert stats["by_split"]["none"]["patients"] == 0, "the source names no patient"


def test_sources_come_by_role_and_size_also_those_of_which_nothing_was_built(stats):
    assert list(stats["by_source"]) == ["icbhi", "uk", "kauh", "cough"]
    icbhi = stats["by_source"]["icbhi"]
    assert (icbhi["role"], icbhi["device_kind"], icbhi["sample_rate_khz"]) == ("train", "stethoscope", [4.0, 44.1])
    assert {split: part["files"] for split, part in icbhi["splits"].items()} == {"train": 3, "valid": 2}
    assert icbhi["devices"] == {"Meditron": 4, "Litt3200": 1}
    assert (icbhi["patients"], icbhi["without_patient"]) == (3, 0)
    uk = stats["by_source"]["uk"]
    assert (uk["files"], uk["mean_s"], uk["sample_rate_khz"], uk["device_kind"]) == (0, None, None, "various")
    assert (stats["by_source"]["cough"]["patients"], stats["by_source"]["cough"]["without_patient"]) == (0, 2)


def test_labels_by_source_and_split_follow_the_taxonomy(stats):
    assert list(stats["labels"]) == ["COPD", "asthma", UNLABELLED]
    assert stats["labels"]["COPD"] == {
        "files": 7,
        "sources": {"icbhi": 4, "kauh": 3},
        "splits": {"train": 2, "valid": 2, "test": 3},
    }
    assert stats["styles"] == {"bell": 10}


def test_reasons_are_counted_without_what_differs_from_file_to_file(stats):
    duplicate = "it is a duplicate: the same audio as another recording"
    disputed = "the same audio is labelled COVID-19 and asthma"
    assert stats["excluded_reasons"] == {"cough": {"annotators rejected the recording": 1}}
    assert stats["quarantine_reasons"] == {
        "kauh": {duplicate: 2, disputed: 1},
        "uk": {"it lasts N s and at least N s are needed": 2},
    }
    assert stats["duplicates"] == {duplicate: 2, disputed: 1}


@pytest.mark.parametrize(
    ("reason", "simple"),
    [
        ("its annotation goes to 12.5 s and its audio to 9.0 s", "its annotation goes to N s and its audio to N s"),
        ("level −91.2 dB, rate 192,000 Hz", "level −N dB, rate N Hz"),
        ("the same audio as 098d66e5-ec.mp3 of COVID-19", "the same audio as another recording of COVID-19"),
        ("PCM_24 in 098d.WAV is mp3", "PCM_24 in another recording is mp3"),
        ("annotators rejected the recording", "annotators rejected the recording"),
    ],
)
def test_simple_reasons(reason, simple):
    assert simplified(reason) == simple


def test_the_rewrite_rate_is_of_what_a_model_wrote(stats, tmp_path):
    assert stats["narratives"] == {
        "written_by": {"template": 6, "model:m": 2, "model:m, rewritten": 1, "template, model refused": 1},
        "rewrite_rate": 0.5,
    }
    assert statistics(write_corpus(some(), tmp_path / "templates"))["narratives"]["rewrite_rate"] is None


def test_official_sides_are_compared_with_those_here(stats):
    assert stats["official_split"] == {
        "cough": {"files": {"test": 1}, "moved_to_train": 0, "moved_to_test": 0, "on_both_sides": 0},
        "icbhi": {"files": {"test": 3, "train": 2}, "moved_to_train": 3, "moved_to_test": 0, "on_both_sides": 1},
        "kauh": {"files": {"train": 1}, "moved_to_train": 0, "moved_to_test": 1, "on_both_sides": 0},
    }


def test_traps_are_counted(stats, tmp_path):
    assert stats["patients"] == {"at_several_ages": {"icbhi": 1}, "in_several_splits": {}}
    assert stats["remarks"] == {"icbhi": {"its split file names another": 2}}
    assert stats["formats"]["icbhi"] == {"WAV PCM_16": 4, "WAV PCM_24": 1}
    assert stats["formats"]["cough"] == {"MP3 LAYER_III": 1, "unknown": 1}
    assert stats["sample_rates_hz"]["icbhi"] == {"44100": 4, "4000": 1}
    leak = [recording(1), recording(2, "test", patient_id="tests:1")]
    assert statistics(write_corpus(leak, tmp_path / "leak"))["patients"]["in_several_splits"] == {"tests": 1}


def test_events_and_cycles_are_counted(stats):
    assert stats["events"] == {"wheeze": 2, "cough": 1}
    assert stats["cycles"] == {"train": {"normal": 2, "both": 1}, "valid": {"wheeze": 1}}


def test_a_corpus_without_roles_cycles_and_set_aside_rows(tmp_path):
    corpus = write_corpus(some(), tmp_path / "corpus", info={"sources": ["tests-1"]})
    for name in ("excluded", "quarantine"):
        (corpus.path / f"{name}.parquet").unlink()
    stats = statistics(corpus)
    assert list(stats["by_source"]) == ["tests"]
    assert stats["by_source"]["tests"]["role"] is None
    assert (stats["found"], stats["quarantine_reasons"], stats["cycles"], stats["official_split"]) == (5, {}, {}, {})
    text = render(stats)
    assert "Nothing: everything that was found was built." in text
    assert "no model was asked" in text
    assert "Respiratory cycles" not in text


def test_the_text_shows_the_numbers(corpus, stats):
    text = render(stats)
    rows = [line.split() for line in text.splitlines()]
    assert max(map(len, text.splitlines())) <= WIDTH
    assert ["train", "3", "2", "0.00", "0.1", "0"] in rows
    assert ["icbhi", "train", "train", "/", "valid", "stethoscope", "4-44.1", "5", "3", "0.00", "0.1"] in rows
    assert ["COPD", "4", "3", "—", "7"] in rows
    assert ["total", "16", "10", "1", "5", "62.5"] in rows
    assert ["train", "2", "—", "—", "1", "3"] in rows, "cycles"
    for line in (
        "2  kauh   quarantine  it is a duplicate: the same audio as another recording",
        "rewritten or replaced: 50.00 % of what a model wrote",
        "largest source of train: icbhi with 100.0 % of it",
        "on another side than in the official split: icbhi (3), kauh (1); 3 of test lie in train or valid",
        "patients on both sides of the official split: icbhi (1); each is on one side here",
        "patients in several splits here: none",
        "patients recorded at several ages: icbhi (1); each recording keeps its own",
        "recordings without a patient: cough (2); each counts as a patient of its own",
        "duplicates: 2 × it is a duplicate",
        "formats other than 16-bit PCM: unknown (4), MP3 LAYER_III (1), WAV PCM_24 (1)",
        "sample rates: 4 kHz (6), 44.1 kHz (4)",
        "remarks: 2 × its split file names another (icbhi)",
        "unlabelled: cough (2); never trained",
        "a note",
    ):
        assert line in text


def test_numbers_have_separators_and_many_sources_break_the_table(stats):
    names = [f"source_with_a_name_{number}" for number in range(9)]
    stats["by_source"] = {name: stats["by_source"]["icbhi"] | {"files": 1_234_567} for name in names}
    stats["labels"] = {"COPD": {"files": 9_876_543, "sources": dict.fromkeys(names, 1_097_393), "splits": {}}}
    text = render(stats)
    assert "1,097,393" in text
    assert text.count("Recordings by label and source") == 3
    assert all(name in text for name in names)
    assert max(map(len, text.splitlines())) <= WIDTH


def test_many_rows_take_seconds(tmp_path):
    corpus = write_corpus(some(), tmp_path / "corpus")
    (path,) = (corpus.path / "data" / "train").iterdir()
    table = pq.read_table(path, partitioning=None)
    many = pa.concat_tables([table.slice(0, 1)] * 50_000).combine_chunks()
    names = pa.array([f"{number:032x}" for number in range(len(many))])
    for column in ("id", "patient_id"):
        many = many.set_column(SCHEMA.names.index(column), SCHEMA.field(column), names)
    audio = pa.array([{"bytes": b"", "path": ""}] * len(many), SCHEMA.field("audio").type)
    pq.write_table(many.set_column(SCHEMA.names.index("audio"), SCHEMA.field("audio"), audio), path)
    began = time.monotonic()
    stats = statistics(corpus)
    assert time.monotonic() - began < 20
    assert (stats["built"], stats["by_source"]["tests"]["without_patient"]) == (50_002, 50_000)
