"""The table of conditions: well-formed, and complete for the real corpora."""

import csv
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resp_agent.corpus.schema import CYCLE_CLASSES
from resp_agent.corpus.sources import SOURCES
from resp_agent.taxonomy import (
    EVENT_KINDS,
    LABELS,
    PLACES,
    SOURCE_EVENTS,
    UNLABELLED,
    Place,
    UnmappedLabel,
    place_of,
    plain,
    read_places,
)


def test_every_source_with_diagnoses_has_words_for_two_labels_or_more():
    assert PLACES.keys() == SOURCES.keys() - {"hflung"}
    for words in PLACES.values():
        assert len({place.label for place in words.values()} - {None}) >= 2
    assert UNLABELLED not in LABELS


def test_reasons_are_short_and_events_are_known():
    reasons = {place.reason for words in PLACES.values() for place in words.values() if place.reason}
    assert all(5 < len(reason) < 90 and not reason.endswith(".") for reason in reasons)
    assert {kind for kinds in SOURCE_EVENTS.values() for kind in kinds.values()} <= set(EVENT_KINDS)
    assert SOURCE_EVENTS["icbhi"].keys() == set(CYCLE_CLASSES) - {"normal"}


@given(st.sampled_from(LABELS), st.sampled_from([str.lower, str.upper]), st.text(" \t\n", min_size=1, max_size=3))
def test_a_users_folder_may_use_the_labels_themselves(label, case, blank):
    assert place_of("folder", blank + case(label).replace(" ", blank) + blank).label == label


@pytest.mark.parametrize(
    ("source", "word", "label"),
    [
        ("kauh", "Heart Failure + Lung Fibrosis ", "other respiratory disease"),
        ("kauh", "heart failure +  copd", "COPD"),
        ("kauh", "Plueral Effusion", "other respiratory disease"),
        ("kauh", "heart failure", None),
        ("kauh", "Asthma and lung fibrosis", None),
        ("ukcovid", "Unknown/Void", None),
        ("coughvid", "symptomatic, experts: lower_infection", "lower respiratory tract infection"),
        ("coughvid", "symptomatic", None),
        ("covid19cough", "covid19=False", "control group"),
        ("folder", "LRTI", "lower respiratory tract infection"),
    ],
)
def test_words_have_their_places(source, word, label):
    place = place_of(source, word)
    assert place.label == label
    assert bool(place.reason) == (label is None)


@pytest.mark.parametrize(("source", "word"), [("kauh", "COVID"), ("kauh", ""), ("hflung", "COPD"), ("other", "COPD")])
def test_an_unmapped_word_is_named_with_its_source(source, word):
    with pytest.raises(UnmappedLabel, match=f"^{source} calls a condition {word!r}, which the taxonomy does not map$"):
        place_of(source, word)


HEADER = "source,source_label,label,reason\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "its columns are ''"),
        ("source_label,label,reason\n", "its columns"),
        (HEADER + "a,x,COPD,\na, X ,asthma,\n", "maps a word again"),
        (HEADER + "a, ,COPD,\n", "maps no word"),
        (HEADER + "a,x,flu,\n", "a label that is none of: control group"),
        (HEADER + f"a,x,{UNLABELLED},\n", "a label that is none of"),
        (HEADER + "a,x,,\n", "needs a label or a reason"),
        (HEADER + "a,x,COPD,why\n", "and not both"),
        (HEADER + "a,x,COPD\n", "has not 4 cells"),
        (HEADER + "a,x,,one, two\n", "has not 4 cells"),
        (HEADER + 'a,"x,COPD,\n', "no csv table"),
    ],
)
def test_a_bad_table_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        read_places(text)


def test_the_same_word_may_mean_another_thing_elsewhere():
    table = read_places(HEADER + "a,x,COPD,\nb,x,,why\n")
    assert table == {"a": {"x": Place("COPD", None)}, "b": {"x": Place(None, "why")}}


@given(st.text())
def test_plain_words_stay_plain(word):
    assert plain(plain(word)) == plain(word) == plain(f" {word}\t")


@pytest.mark.corpora
def test_every_word_of_the_real_tables_is_mapped(shared):
    corpora = shared / "corpora"

    def cells(path: str, column: str) -> set[str]:
        with (corpora / path).open(newline="", encoding="utf-8-sig") as file:
            return {row[column] for row in csv.DictReader(file)}

    words = {
        "coughvid": cells("coughvid/metadata_compiled.csv", "status") - {""},
        "sprsound": cells("sprsound/Patient Summary/SPRSound_patient_summary.csv", "disease"),
        "icbhi": {line.split()[1] for line in (corpora / "icbhi2017/ICBHI_Challenge_diagnosis.txt").open()},
        "kauh": {path.name.partition("_")[2].split(",")[0] for path in (corpora / "kauh/Audio Files").iterdir()},
        "covid19cough": {
            f"covid19={entry['covid19']}" for entry in json.loads((corpora / "covid19_cough/metadata.json").read_text())
        },
    }
    heard = {f"symptomatic, experts: {word}" for n in (1, 2, 3) for word in diagnoses(corpora, n)}
    for source, said in words.items():
        assert len(said) >= 2
        for word in said | (heard if source == "coughvid" else set()):
            place_of(source, word)


def diagnoses(corpora, expert: int) -> set[str]:
    with (corpora / "coughvid" / "metadata_compiled.csv").open(newline="") as file:
        return {row[f"diagnosis_{expert}"] for row in csv.DictReader(file)} - {""}
