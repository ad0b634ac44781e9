"""The SPRSound reader: on a made layout, and on the real files with their traps."""

import csv
import json
import shutil
import tarfile
from collections import Counter, defaultdict

import pytest

from resp_agent.corpus.schema import Event
from resp_agent.corpus.sources import Found, SetAside
from resp_agent.corpus.sources.found import BadAnnotation, archived_texts
from resp_agent.corpus.sources.sprsound import ARCHIVE, OTHER_AGE, REJECTED, official_split, parse_annotation, read
from tests.corpus import layouts


@pytest.fixture
def root(tmp_path):
    return layouts.sprsound(tmp_path / "sprsound")


def by_name(root):
    return {item.path.stem: item for item in read(root)}


def test_a_recording_is_what_its_files_say(root):
    assert by_name(root)["40000004_5.0_1_p2_11"] == Found(
        source="sprsound",
        path=root / "test_wav" / "40000004_5.0_1_p2_11.wav",
        patient_id="sprsound:40000004",
        source_label="Control Group",
        device="Yunting II",
        site="lateral left chest",
        age_years=5.0,
        sex="female",
        events=(Event(0.3, 0.5, "fine crackle"), Event(0.5, 0.99, "wheeze + crackle")),
        normal_breaths=1,
        official_split="intra_test",
        remarks=(OTHER_AGE,),
    )


def test_age_and_split_belong_to_the_recording(root):
    items = by_name(root)
    one, other = items["40000004_4.5_0_p1_10"], items["40000004_5.0_1_p2_11"]
    assert (one.age_years, one.official_split, one.remarks) == (4.5, "train", ())
    assert (other.age_years, other.official_split, other.remarks) == (5.0, "intra_test", (OTHER_AGE,))


@pytest.mark.parametrize(
    ("folders", "split"),
    [
        ("train_json", "train"),
        ("BioCAS2022/train2022_json", "train"),
        ("Classification/train_classification_json", "train"),
        ("test_json/intra_test_json", "intra_test"),
        ("BioCAS2022/test2022_json/inter_test_json", "inter_test"),
        ("valid_classification_json/2022/inter_test_json", "inter_test"),
        ("BioCAS2023/test2023_json", "test2023"),
        ("valid_classification_json/2023", "test2023"),
        ("Detection/test2024_detection_json", "test2024"),
        ("BioCAS2025/test2025_json/part-1", "test2025"),
        ("test_json", "test"),
        ("BioCAS2022", None),
        ("", None),
    ],
)
def test_the_innermost_folder_that_says_a_split_counts(folders, split):
    assert official_split(folders.split("/")) == split


def test_a_patient_without_a_disease_is_set_aside(root):
    path = root / "Patient Summary" / "summary.csv"
    path.write_text(path.read_text().replace("40000004,Control Group", "40000004,"))
    reasons = {i.reason for i in read(root) if i.path.name.startswith("40000004")}
    assert reasons == {"its patient is not in the summary of patients"}


def test_a_rejected_recording_is_excluded_with_the_annotators_reason(root):
    (item,) = [item for item in read(root) if isinstance(item, SetAside)]
    assert (item.source_label, item.reason, item.excluded) == ("Asthma", REJECTED, True)


def test_the_archive_stands_in_for_missing_json(root):
    with tarfile.open(root / ARCHIVE, "w:gz") as tar:
        tar.add(root / "train_json", "train_json")
        tar.add(root / "test_json", "test_json")
    before = list(read(root))
    shutil.rmtree(root / "train_json")
    shutil.rmtree(root / "test_json")
    assert list(read(root)) == before


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("noise.wav", "name is not"),
        ("40000004_5.0_2_p2_11.wav", "name is not"),
        ("40000004_5.0_1_p9_11.wav", "name is not"),
        ("49999999_5.0_1_p2_11.wav", "not in the summary"),
        ("40000004_5.0_1_p2_99.wav", "no annotation"),
    ],
)
def test_what_does_not_fit_is_set_aside(root, name, reason):
    shutil.copy(root / "test_wav" / "40000004_5.0_1_p2_11.wav", root / "test_wav" / name)
    before = 15
    items = list(read(root))
    (item,) = [item for item in items if isinstance(item, SetAside) and not item.excluded]
    assert reason in item.reason
    assert len(items) == before + 1


EVENT = {"start": "1", "end": "2", "type": "Normal"}


def text(record: object = "Normal", **changes: object) -> str:
    return json.dumps({"record_annotation": record, "event_annotation": [{**EVENT, **changes}]})


@pytest.mark.parametrize(
    "bad",
    [
        "", "{", "[]", "null", '{"record_annotation": "Normal"}', "[" * 100_000,
        text(record="Fine"), text(record=None), text(start="a"), text(start=None), text(start="3"), text(end="1"),
        text(end="nan"), text(end="Infinity"), text(end=10**400), text(type="Gurgle"), text(type=None), text(type=[]),
    ],
)  # fmt: skip
def test_a_bad_annotation_is_refused(bad):
    with pytest.raises(BadAnnotation, match="its annotation"):
        parse_annotation(bad)


def test_times_may_be_strings_or_numbers_and_the_documented_key_is_read():
    numbers = {"recording_annotation": "DAS", "event_annotation": [{"start": 342, "end": 2515, "type": "Fine Crackle"}]}
    strings = {
        "record_annotation": "DAS",
        "event_annotation": [{"start": "342", "end": "2515", "type": "Fine Crackle"}],
    }
    assert parse_annotation(json.dumps(numbers)) == parse_annotation(json.dumps(strings))
    assert parse_annotation(json.dumps(strings)).events == (Event(0.342, 2.515, "fine crackle"),)


@pytest.mark.corpora
def test_all_events_of_the_archive_are_parsed(shared):
    texts = archived_texts(shared / "corpora" / "sprsound", ARCHIVE, ".json")
    annotations = [parse_annotation(text) for _, text in texts.values()]
    kinds = Counter(event.kind for annotation in annotations for event in annotation.events)
    normal = sum(annotation.normal_breaths for annotation in annotations)
    assert len(annotations) == 2_683
    assert normal == 6_887
    assert normal + kinds.total() == 9_089
    assert kinds == {
        "fine crackle": 1_167,
        "wheeze": 865,
        "coarse crackle": 66,
        "rhonchus": 53,
        "wheeze + crackle": 34,
        "stridor": 17,
    }
    assert sum(annotation.rejected for annotation in annotations) == 187
    assert Counter(official_split(folder.parts) for folder, _ in texts.values()) == {
        "train": 1_949,
        "intra_test": 379,
        "inter_test": 355,
    }


@pytest.mark.corpora
def test_the_real_traps_are_read_as_they_are(shared):
    with (shared / "corpora" / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["corpus"] == "sprsound"]
    poor = {shared / "corpora" / row["path"] for row in rows if "record=Poor Quality" in row["extra"]}
    items = list(read(shared / "corpora" / "sprsound"))
    assert {item.path for item in items if isinstance(item, SetAside)} == poor
    assert len(poor) == 43
    found = [item for item in items if isinstance(item, Found)]
    ages, splits = defaultdict(set), defaultdict(set)
    for item in found:
        ages[item.patient_id].add(item.age_years)
        splits[item.patient_id].add(item.official_split)
    # Some patients were recorded at several ages, and each recording keeps its own.
    assert max(map(len, ages.values())) > 1
    assert sum(item.remarks == (OTHER_AGE,) for item in found) == 9
    # The intra test is of patients to train on.
    assert any({"train", "intra_test"} <= sides for sides in splits.values())
