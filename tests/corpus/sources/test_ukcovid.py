"""The UK COVID-19 reader: on a made layout, and on the names of the real sample."""

import csv
import shutil

import pytest

from resp_agent.corpus.sources import Found, SetAside
from resp_agent.corpus.sources.ukcovid import BY_NAME, SPEECH, UNSTATED, read
from tests.corpus import layouts


@pytest.fixture
def root(tmp_path):
    return layouts.ukcovid(tmp_path / "ukcovid")


def by_name(root):
    return {item.path.stem: item for item in read(root)}


def change(path, **cells):
    """Sets cells of a table's first row."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    layouts.write_csv(path, [rows[0] | cells, *(row | dict.fromkeys(cells.keys() - row, "") for row in rows[1:])])


def test_a_recording_is_what_the_tables_say(root):
    assert by_name(root)["bB2_cough"] == Found(
        source="ukcovid",
        path=root / "audio" / "bB2_cough.wav",
        patient_id="ukcovid:bB2",
        source_label="Positive",
        device="participant's own microphone",
        sex="male",
        symptoms=("cough", "high temperature"),
        history=("current smoker", "asthma"),
    )


def test_blank_cells_and_answers_that_say_nothing_are_left_out(root):
    found = by_name(root)["aA1_exhalation"]
    assert (found.age_years, found.sex, found.symptoms, found.history) == (63.0, "female", (), ())


def test_nothing_but_the_label_depends_on_result_and_viral_load(root):
    before = by_name(root)["aA1_cough"]
    change(root / "participant_metadata.csv", covid_test_result="Negative", covid_viral_load_category="Low")
    after = by_name(root)["aA1_cough"]
    assert (before.source_label, after.source_label) == ("Positive", "Negative")
    assert {**vars(before), "source_label": ""} == {**vars(after), "source_label": ""}


def test_speech_is_excluded(root):
    speech = [item for item in read(root) if isinstance(item, SetAside)]
    assert {item.path.stem for item in speech} == {f"{name}_sentence" for name in layouts.UKCOVID_RESULTS}
    assert {(item.reason, item.excluded) for item in speech} == {(SPEECH, True)}
    assert speech[0].source_label == "Positive"


@pytest.mark.parametrize("column", ["{}_file_name", "{}"])
@pytest.mark.parametrize("prefix", ["", "audio/", "C:\\data\\"])
def test_one_combined_table_is_read_too(root, column, prefix):
    before = list(read(root))
    with (root / "participant_metadata.csv").open(newline="") as file:
        people = list(csv.DictReader(file))
    kinds = ("sentence", "exhalation", "cough")
    for row in people:
        row |= {column.format(kind): f"{prefix}{row['participant_identifier']}_{kind}.wav" for kind in kinds}
    (root / "participant_metadata.csv").unlink()
    (root / "audio_metadata.csv").unlink()
    (root / "tables").mkdir()
    layouts.write_csv(root / "tables" / "combined_metadata.csv", people)
    assert list(read(root)) == before


def test_three_coughs_are_coughs(root):
    shutil.copy(root / "audio" / "aA1_cough.wav", root / "audio" / "three.wav")
    change(root / "audio_metadata.csv", three_cough_file_name="three.wav")
    assert by_name(root)["three"].patient_id == "ukcovid:aA1"


def test_no_result_is_a_word_of_its_own(root):
    change(root / "participant_metadata.csv", covid_test_result="nan")
    assert by_name(root)["aA1_cough"].source_label == UNSTATED


def test_a_name_stands_in_for_tables(root):
    shutil.copy(root / "audio" / "aA1_cough.wav", root / "audio" / "12_8Cyc_x_NEG.wav")
    found = by_name(root)["12_8Cyc_x_NEG"]
    assert (found.patient_id, found.source_label, found.remarks) == ("ukcovid:8Cyc_x", "Negative", (BY_NAME,))


def test_what_the_tables_do_not_settle_is_set_aside(root):
    shutil.copy(root / "audio" / "aA1_cough.wav", root / "audio" / "other.wav")
    change(root / "audio_metadata.csv", participant_identifier="zZ9", exhalation_file_name="bB2_exhalation.wav")
    layouts.write_csv(root / "more.csv", [{"participant_identifier": "cC3", "covid_test_result": "Negative"}])
    items = by_name(root)
    reasons = {name: items[name].reason for name in ("other", "aA1_cough", "bB2_exhalation", "cC3_cough")}
    assert reasons == {
        "other": "it is in no metadata table, and its name says no test result",
        "aA1_cough": "its participant is in no table of test results",
        "bB2_exhalation": "the tables give it to two participants, or as speech and another sound",
        "cC3_cough": "the tables give its participant two test results",
    }


def test_without_tables_or_with_damaged_ones_every_recording_has_a_reason(root):
    for path in root.glob("*.csv"):
        path.write_bytes(b'participant_identifier,cough\n"\x00\xff' + b"x" * 200_000)
    items = list(read(root))
    assert len(items) == 3 * len(layouts.UKCOVID_RESULTS)
    assert all(isinstance(item, SetAside) and not item.excluded for item in items)


@pytest.mark.corpora
def test_the_real_sample_is_labelled_by_its_names(shared):
    items = list(read(shared / "corpora" / "uk_covid19_vocal"))
    assert {item.remarks for item in items} == {(BY_NAME,)}
    assert "ukcovid:8CycryfriJtBsOLg" in {item.patient_id for item in items}
