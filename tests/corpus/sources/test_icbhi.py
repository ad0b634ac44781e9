"""The ICBHI reader: on a made layout, and on the real files with their traps."""

import shutil
import tarfile
from collections import Counter, defaultdict

import pytest

from resp_agent.corpus.schema import CYCLE_CLASSES, Cycle, Event
from resp_agent.corpus.sources import Found, SetAside
from resp_agent.corpus.sources.found import BadAnnotation, archived_texts
from resp_agent.corpus.sources.icbhi import ARCHIVE, OTHER_DEVICE, parse_cycles, read
from resp_agent.errors import UserError
from tests.corpus import layouts


@pytest.fixture
def root(tmp_path):
    return layouts.icbhi(tmp_path / "icbhi")


def by_name(root):
    return {item.path.stem: item for item in read(root)}


def test_a_recording_is_what_its_files_say(root):
    found = by_name(root)["104_1b1_Al_sc_Meditron"]
    assert found == Found(
        source="icbhi",
        path=root / "ICBHI_final_database" / "104_1b1_Al_sc_Meditron.wav",
        patient_id="icbhi:104",
        source_label="Healthy",
        device="Welch Allyn Meditron",
        site="anterior left chest",
        age_years=63.0,
        sex="male",
        events=(
            Event(0.4, 0.6, "coarse crackle"),
            Event(0.6, 0.8, "wheeze"),
            Event(0.8, 1.0, "wheeze + crackle"),
        ),
        normal_breaths=1,
        official_split="test",
        cycles=(
            Cycle(0.0, 0.4, "normal"),
            Cycle(0.4, 0.6, "crackle"),
            Cycle(0.6, 0.8, "wheeze"),
            Cycle(0.8, 1.0, "both"),
        ),
    )


def test_other_files_are_no_recordings_and_the_order_is_fixed(root):
    (root / "README.md").write_text("read me")
    (root / "ICBHI_final_database" / "104_1b1_Tc_sc_Meditron.txt").write_text(layouts.CYCLES)
    paths = [item.path for item in read(root)]
    assert len(paths) == 14
    assert paths == sorted(paths)


def test_the_kaggle_layout_is_read_too(root):
    database = (root / "ICBHI_final_database").rename(root / "audio_and_txt_files")
    (root / "ICBHI_Challenge_diagnosis.txt").unlink()
    (root / "patient_diagnosis.csv").write_text("".join(f"{p},{d}\r\n" for p, d in layouts.ICBHI_PATIENTS.items()))
    (root / "ICBHI_Challenge_demographic_information.txt").unlink()
    (root / "demographic_info.txt").write_text("\r\n104 0.75 F NA 9.8 73\r\n")
    items = list(read(root))
    assert all(isinstance(item, Found) and item.path.parent == database for item in items)
    assert {(i.age_years, i.sex) for i in items if i.patient_id == "icbhi:104"} == {(0.75, "female")}
    assert {(i.age_years, i.sex) for i in items if i.patient_id != "icbhi:104"} == {(None, None)}


def test_tables_of_the_kaggle_layout_beside_the_others_change_nothing(root):
    before = list(read(root))
    (root / "kaggle").mkdir()
    (root / "kaggle" / "patient_diagnosis.csv").write_text("104,COPD\n")
    (root / "kaggle" / "demographic_info.txt").write_text("104 0.75 F NA 9.8 73\n")
    assert list(read(root)) == before


def test_another_stethoscope_in_the_split_file_is_remarked(root):
    path = root / "ICBHI_challenge_train_test.txt"
    path.write_text(path.read_text().replace("104_1b1_Al_sc_Meditron", "104_1b1_Al_sc_LittC2SE"))
    found = by_name(root)
    item = found["104_1b1_Al_sc_Meditron"]
    assert (item.official_split, item.device, item.remarks) == ("test", "Welch Allyn Meditron", (OTHER_DEVICE,))
    assert found["104_1b1_Pr_sc_Meditron"].remarks == ()


def test_the_archive_stands_in_for_a_missing_txt_only(root):
    database = root / "ICBHI_final_database"
    alone, beside = database / "101_1b1_Al_sc_AKGC417L.txt", database / "101_1b1_Pr_sc_AKGC417L.txt"
    with tarfile.open(root / ARCHIVE, "w:gz") as tar:
        for path in (alone, beside):
            path.write_text("0.1 0.9 0 0\n")
            tar.add(path, f"ICBHI_final_database/{path.name}")
    alone.unlink()
    beside.write_text(layouts.CYCLES)
    found = by_name(root)
    assert (found[alone.stem].events, found[alone.stem].normal_breaths) == ((), 1)
    assert len(found[beside.stem].events) == 3


def test_a_damaged_archive_is_named_with_a_way_out(root):
    (root / ARCHIVE).write_bytes(b"\x1f\x8b not a tar")
    with pytest.raises(UserError, match=r"all_920.*damaged: replace it"):
        list(read(root))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("noise.wav", "name is not"),
        ("104_1b1_Xx_sc_Meditron.wav", "unknown site"),
        ("104_1b1_Al_sc_iPhone.wav", "unknown device"),
        ("199_1b1_Al_sc_Meditron.wav", "not in the table of diagnoses"),
        ("104_9b9_Al_sc_Meditron.wav", "no annotation"),
        ("104_1b1_Al_sc_Meditron.mp3", "name is not"),
    ],
)
def test_what_does_not_fit_is_set_aside(root, name, reason):
    database = root / "ICBHI_final_database"
    shutil.copy(database / "104_1b1_Al_sc_Meditron.wav", database / name)
    items = list(read(root))
    (item,) = [item for item in items if isinstance(item, SetAside)]
    assert item.path == database / name
    assert reason in item.reason
    assert not item.excluded
    assert len(items) == 15


@pytest.mark.parametrize(
    "text",
    [
        "", "\r\n\r\n", "0.1 0.2 0", "0.1 0.2 0 0 0", "a b 0 0", "0.1 0.2 2 0", "0.2 0.1 0 0", "0.1 0.1 0 0",
        "-1 1 0 0", "nan 1 0 0", "0 inf 0 0", "RIFF\x00\x01",
    ],
)  # fmt: skip
def test_a_bad_annotation_is_refused(text):
    with pytest.raises(BadAnnotation, match="its annotation"):
        parse_cycles(text)


@pytest.mark.corpora
def test_all_cycles_of_the_archive_are_parsed(shared):
    texts = archived_texts(shared / "corpora" / "icbhi2017", ARCHIVE, ".txt")
    cycles = [cycle for _, text in texts.values() for cycle in parse_cycles(text)]
    assert len(texts) == 920
    assert len(cycles) == 6_898
    # Rocha et al. 2018: 1,864 cycles with crackles, 886 with wheezes, 506 with both.
    assert Counter(cycle.heard for cycle in cycles) == dict(zip(CYCLE_CLASSES, (3_642, 1_864, 886, 506), strict=True))


@pytest.mark.corpora
def test_the_real_traps_are_read_as_they_are(shared):
    found = list(read(shared / "corpora" / "icbhi2017"))
    assert all(isinstance(item, Found) for item in found)
    # One patient's row holds nothing but NA.
    assert {item.patient_id for item in found if item.age_years is None} == {"icbhi:223"}
    # Two patients are on both sides of the official split.
    splits = defaultdict(set)
    rows = (shared / "corpora" / "icbhi2017" / "ICBHI_challenge_train_test.txt").read_bytes().split(b"\r\n")
    for row in filter(None, rows):
        splits[row[:3].decode()].add(row.split()[1])
    assert {patient for patient, sides in splits.items() if len(sides) == 2} == {"156", "218"}


@pytest.mark.corpora
def test_the_misnamed_stethoscope_of_the_official_split_is_matched(shared):
    root = shared / "corpora" / "icbhi2017"
    names = {line.split("\t")[0] for line in (root / "ICBHI_challenge_train_test.txt").read_text().splitlines()}
    assert "226_1b1_Pl_sc_Meditron" in names
    assert "226_1b1_Pl_sc_LittC2SE" not in names
    # Matching without the stethoscope is safe: no two names differ in it alone.
    assert len({name.rpartition("_")[0] for name in names}) == len(names) == 920
    found = by_name(root).get("226_1b1_Pl_sc_LittC2SE")
    assert found.official_split in ("train", "test")
    assert (found.device, found.remarks) == ("Littmann Classic II SE", (OTHER_DEVICE,))
    assert sum(bool(item.remarks) for item in by_name(root).values()) == 1
