"""The KAUH reader: on a made layout, and on the real names."""

import itertools
from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resp_agent.corpus.sources import Found
from resp_agent.corpus.sources.kauh import read, site_of
from tests.corpus import layouts


@pytest.fixture
def root(tmp_path):
    return layouts.kauh(tmp_path / "kauh")


def test_a_recording_is_what_its_name_says(root):
    found = {item.path.stem: item for item in read(root)}["EP6_Heart Failure + Lung Fibrosis ,I C,P L R,72,F"]
    assert found == Found(
        source="kauh",
        path=root / "Audio Files" / "EP6_Heart Failure + Lung Fibrosis ,I C,P L R,72,F.wav",
        patient_id="kauh:6",
        source_label="Heart Failure + Lung Fibrosis ",
        device="Littmann 3200 (extended)",
        site="posterior right lower chest",
        age_years=72.0,
        sex="female",
    )


def test_the_three_filterings_of_a_recording_share_its_patient(root):
    devices = defaultdict(set)
    for item in read(root):
        devices[item.patient_id].add(item.device)
    modes = {f"Littmann 3200 ({mode})" for mode in ("bell", "diaphragm", "extended")}
    assert devices == {f"kauh:{patient}": modes for patient in layouts.KAUH_PATIENTS}


@pytest.mark.parametrize(
    ("letters", "site"),
    [
        ("P R M", "posterior right middle chest"),
        ("A U R", "anterior right upper chest"),
        ("P L L", "posterior left lower chest"),
        ("P R L ", "posterior right lower chest"),
        ("P L R", "posterior right lower chest"),
        ("P L U", "posterior left upper chest"),
        ("P", "posterior chest"),
        ("P L L R", "posterior chest"),
        ("P U M", "posterior chest"),
        ("R M", None),
        ("", None),
    ],
)
def test_sites_are_worded(letters, site):
    assert site_of(letters) == site


@given(st.sampled_from("PA"), st.sampled_from("LR"), st.sampled_from("UML"))
def test_side_and_height_come_in_either_order(face, side, height):
    sites = {site_of(" ".join((face, *rest))) for rest in itertools.permutations((side, height))}
    assert len(sites) == 1
    assert len(sites.pop().split()) == 4


@pytest.mark.parametrize(
    "name",
    [
        "XP1_N,N,P,20,F.wav", "BP_N,N,P,20,F.wav", "BP1_N,N,P,F.wav", "BP1_N,N,P,old,F.wav", "BP1_N,N,P,20,X.wav",
        "BP1_ ,N,P,20,F.wav", "BP1_N,N,P,20,F.mp3", "noise.wav",
    ],
)  # fmt: skip
def test_other_names_are_set_aside(tmp_path, name):
    (tmp_path / name).touch()
    (item,) = read(tmp_path)
    assert item.reason.startswith("its name is not")


@pytest.mark.corpora
def test_the_real_names_all_say_a_site_and_an_age(shared):
    items = list(read(shared / "corpora" / "kauh"))
    assert len({item.patient_id for item in items}) == 112
    assert all(isinstance(item, Found) and item.age_years and item.sex for item in items)
    # The annotation table of the corpus places patients 4 to 7, "P L R" by their names, right and lower too.
    assert {i.site for i in items if i.patient_id in ("kauh:4", "kauh:5")} == {"posterior right lower chest"}
    assert Counter(item.site for item in items)["posterior chest"] == 5
    # Blanks and spelling are kept as they are.
    assert {"Heart Failure + Lung Fibrosis ", "Plueral Effusion", "copd"} <= {item.source_label for item in items}
