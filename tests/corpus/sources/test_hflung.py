"""The HF_Lung_V1 reader, on a made layout."""

import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resp_agent.corpus.schema import Event
from resp_agent.corpus.sources import Found
from resp_agent.corpus.sources.found import BadAnnotation
from resp_agent.corpus.sources.hflung import parse_events, read
from tests.corpus import layouts


@pytest.fixture
def root(tmp_path):
    return layouts.hflung(tmp_path / "hflung")


def by_name(root):
    return {item.path.stem: item for item in read(root)}


def test_a_recording_is_what_its_files_say(root):
    assert by_name(root)["steth_20190820_10_00_00"] == Found(
        source="hflung",
        path=root / "train" / "steth_20190820_10_00_00.wav",
        patient_id=None,
        source_label="",
        device="Littmann 3200",
        events=(Event(0.55, 0.7, "coarse crackle"), Event(0.8, 0.9, "wheeze"), Event(0.9, 1.0, "rhonchus")),
        normal_breaths=1,
        official_split="train",
    )


def test_pieces_of_a_long_recording_share_its_patient(root):
    items = by_name(root)
    pieces = [item for name, item in items.items() if name.startswith("trunc_2019-07-15")]
    assert len(pieces) == 4
    assert {(item.patient_id, item.device) for item in pieces} == {("hflung:trunc_2019-07-15-11-30-19", "HF-Type-1")}
    other = items["trunc_2019-08-01-09-00-00-L1_3"]
    assert (other.patient_id, other.official_split) == ("hflung:trunc_2019-08-01-09-00-00", "test")


def test_an_empty_annotation_is_one(root):
    found = by_name(root)["steth_20190901_09_00_00"]
    assert (found.events, found.normal_breaths) == ((), 0)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("noise.wav", "its name is neither"),
        ("trunc_now-L1_0.wav", "its name is neither"),
        ("steth_20190820_10_00_00.mp3", "its name is neither"),
        ("steth_20190820_99_00_00.wav", "no annotation"),
    ],
)
def test_what_does_not_fit_is_set_aside(root, name, reason):
    shutil.copy(root / "train" / "steth_20190820_10_00_00.wav", root / "train" / name)
    (item,) = [item for item in read(root) if item.path.name == name]
    assert reason in item.reason


@pytest.mark.parametrize(
    "text",
    [
        "I", "I 00:00:00.1", "I 0.1 0.2", "I 00:00:00.2 00:00:00.1", "D 00:00:00.1 00:00:00.1", "I 0:0:0 0:0:1",
        "Gurgle 00:00:00.0 00:00:01.0", "I 00:00:00.0 00:00:01.0 00:00:02.0", f"I 00:00:00.0 {'9' * 400}:00:00",
    ],
)  # fmt: skip
def test_a_bad_annotation_is_refused(text):
    with pytest.raises(BadAnnotation, match="its annotation"):
        parse_events(text)


@given(
    st.lists(st.tuples(st.sampled_from("IED"), st.integers(0, 14_000), st.integers(1, 14_000)), max_size=8),
    st.sampled_from(["\n", "\r\n", " \n\n"]),
)
def test_normal_breaths_are_inhalations_apart_from_every_event(marks, line_end):
    def clock(ms: int) -> str:
        return f"00:00:{ms // 1000:02d}.{ms % 1000:03d}"

    text = line_end.join(f"{kind} {clock(start)} {clock(start + length)}" for kind, start, length in marks)
    events, normal = parse_events(text)
    heard = [(start, start + length) for kind, start, length in marks if kind == "D"]
    inhaled = [(start, start + length) for kind, start, length in marks if kind == "I"]
    assert [(round(e.start_s * 1000), round(e.end_s * 1000)) for e in events] == heard
    assert normal == sum(not any(s < end and start < e for s, e in heard) for start, end in inhaled)
