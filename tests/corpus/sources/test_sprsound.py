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
from resp_agent.corpus.sources.sprsound import ARCHIVE, REJECTED, parse_annotation, read
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
    )


def test_age_and_split_belong_to_the_recording(root):
    items = by_name(root)
    one, other = items["40000004_4.5_0_p1_10"], items["40000004_5.0_1_p2_11"]
    assert (one.age_years, one.official_split) == (4.5, "train")
    assert (other.age_years, other.official_split) == (5.0, "intra_test")


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
        text(end="nan"), text(end="Infinity"), text(type="Gurgle"), text(type=None), text(type=[]),
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
    assert Counter(folder for folder, _ in texts.values()) == {
        "train_json": 1_949,
        "intra_test_json": 379,
        "inter_test_json": 355,
    }


@pytest.mark.corpora
def test_the_real_recordings_agree_with_the_manifest(shared):
    with (shared / "corpora" / "manifest.csv").open(newline="") as file:
        rows = {r["path"]: r for r in csv.DictReader(file) if r["corpus"] == "sprsound"}
    items = {
        item.path.relative_to(shared / "corpora").as_posix(): item for item in read(shared / "corpora" / "sprsound")
    }
    assert items.keys() == rows.keys()
    assert len(items) == 253
    ages = defaultdict(set)
    for path, item in items.items():
        row = rows[path]
        assert item.source_label == row["label"]
        assert isinstance(item, SetAside) == ("record=Poor Quality" in row["extra"])
        if isinstance(item, Found):
            assert item.official_split == row["split"]
            assert item.patient_id == f"sprsound:{row['patient']}"
            ages[item.patient_id].add(item.age_years)
    assert sum(isinstance(item, SetAside) for item in items.values()) == 43
    # Some patients were recorded at several ages, and each recording keeps its own.
    assert max(map(len, ages.values())) > 1
