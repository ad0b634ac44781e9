"""What holds for every reader, on made layouts and on the real files."""

import csv
import json
from collections import Counter

import pytest

from resp_agent.corpus.sources import SOURCES, Found, SetAside
from resp_agent.corpus.sources.found import AUDIO_SUFFIXES
from tests.corpus import layouts

MAKERS = {name: getattr(layouts, name) for name in SOURCES}
ROLES = {
    "ukcovid": ("train", "microphone"),
    "icbhi": ("train", "stethoscope"),
    "sprsound": ("train", "stethoscope"),
    "coughvid": ("test", "microphone"),
    "kauh": ("test", "stethoscope"),
    "covid19cough": ("none", "microphone"),
    "hflung": ("none", "stethoscope"),
    "folder": ("train", "as given"),
}
STAGED = {
    "icbhi2017": "icbhi",
    "kauh": "kauh",
    "sprsound": "sprsound",
    "covid19_cough": "covid19cough",
    "uk_covid19_vocal": "ukcovid",
    "coughvid": "coughvid",
}
"""Folder of the real recordings -> source."""


def test_sources_have_their_roles_and_devices():
    assert {name: (source.role, source.device) for name, source in SOURCES.items()} == ROLES


@pytest.mark.parametrize("name", SOURCES)
def test_every_audio_file_appears_once_and_bad_ones_are_set_aside(name, tmp_path):
    root = MAKERS[name](tmp_path / "root")
    before = {item.path: item for item in SOURCES[name].read(root)}
    (root / "stray.wav").write_bytes(b"no audio")
    (root / "stray.flac").symlink_to(root / "nowhere")
    (root / "folder.MP3").mkdir()
    (root / "read me.txt").write_text("no audio")
    items = list(SOURCES[name].read(root))
    audio = [path for path in root.rglob("*") if path.name.lower().endswith(AUDIO_SUFFIXES)]
    assert Counter(item.path for item in items) == Counter(audio)
    assert before.items() <= {item.path: item for item in items}.items()
    strays = [item for item in items if item.path not in before]
    assert len(strays) == 3
    for item in strays:
        assert isinstance(item, SetAside)
        assert not item.excluded
        assert item.path.stem not in item.reason


@pytest.mark.parametrize("name", SOURCES)
def test_a_made_layout_has_several_patients_and_words(name, tmp_path):
    found = [item for item in SOURCES[name].read(MAKERS[name](tmp_path / "root")) if isinstance(item, Found)]
    assert len({item.source_label for item in found}) >= (1 if name == "hflung" else 2)
    people = {item.patient_id for item in found}
    assert people == {None} if name in ("coughvid", "covid19cough") else len(people) > 2
    assert all(item.source == name for item in found)


def doubled(text: str, *swaps: tuple[str, str]) -> str:
    """A table with all of its rows again, saying something else."""
    again = text
    for one, other in swaps:
        again = again.replace(one, "#").replace(other, one).replace("#", other)
    return text + again


@pytest.mark.parametrize(
    ("name", "table", "swaps"),
    [
        ("icbhi", "ICBHI_Challenge_diagnosis.txt", [("COPD", "Healthy")]),
        ("sprsound", "Patient Summary/summary.csv", [("Asthma", "Control Group")]),
        ("coughvid", "metadata_compiled.csv", [("healthy", "COVID-19")]),
        ("covid19cough", "metadata.json", [("true", "false")]),
    ],
)
def test_what_a_table_says_two_things_of_is_set_aside(name, table, swaps, tmp_path):
    root = MAKERS[name](tmp_path / "root")
    before = {item.path for item in SOURCES[name].read(root) if isinstance(item, Found)}
    text = (root / table).read_text()
    if table.endswith(".json"):
        text = json.dumps(json.loads(text) + [e | {"covid19": not e["covid19"]} for e in json.loads(text)])
    else:
        text = doubled(text, *swaps)
    (root / table).write_text(text)
    items = list(SOURCES[name].read(root))
    told = {item.path for item in items if isinstance(item, SetAside) and "two" in item.reason}
    assert len(told & before) >= 2
    assert {item.path for item in items if isinstance(item, Found)} == before - told


@pytest.mark.corpora
@pytest.mark.parametrize("folder", STAGED)
def test_the_real_recordings_agree_with_the_manifest(shared, folder):
    root, source = shared / "corpora" / folder, STAGED[folder]
    with (shared / "corpora" / "manifest.csv").open(newline="") as file:
        rows = {row["path"]: row for row in csv.DictReader(file) if row["corpus"] == folder}
    items = list(SOURCES[source].read(root))
    paths = [item.path.relative_to(shared / "corpora").as_posix() for item in items]
    assert sorted(paths) == sorted(rows)
    for path, item in zip(paths, items, strict=True):
        assert item.source_label == rows[path]["label"]
        if isinstance(item, Found):
            patient = rows[path]["patient"].removeprefix("P") if source == "kauh" else rows[path]["patient"]
            assert item.patient_id == (f"{source}:{patient}" if patient else None)
            assert item.official_split == (rows[path]["split"] or None)


@pytest.mark.corpora
def test_all_the_real_recordings_belong_to_a_source(shared):
    with (shared / "corpora" / "manifest.csv").open(newline="") as file:
        corpora = Counter(row["corpus"] for row in csv.DictReader(file))
    assert corpora.keys() == STAGED.keys()
    assert corpora.total() == 703
