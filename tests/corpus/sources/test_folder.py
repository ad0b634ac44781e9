"""The reader of a user's own folder: its columns, its refusals, its labels."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resp_agent.corpus.schema import Event
from resp_agent.corpus.sources import Found, SetAside
from resp_agent.corpus.sources.folder import COLUMNS, parse_events, read
from resp_agent.corpus.sources.found import BadAnnotation
from resp_agent.errors import UserError
from resp_agent.taxonomy import CONTROL, EVENT_KINDS, Place
from tests.corpus import layouts


@pytest.fixture
def root(tmp_path):
    return layouts.folder(tmp_path / "mine")


def table(root, text: str):
    """A folder with the recording a.wav and this table."""
    root.mkdir()
    (root / "a.wav").touch()
    (root / "metadata.csv").write_text(text, encoding="utf-8")
    return list(read(root))


def test_a_recording_is_what_its_row_says(root):
    items = {item.path.relative_to(root).as_posix(): item for item in read(root)}
    assert items["p2.wav"] == Found(
        source="folder",
        path=root / "p2.wav",
        patient_id="folder:p2",
        source_label="Asthma ",
        device="phone",
        site="trachea",
        age_years=21.5,
        sex="male",
        symptoms=("cough", "fever"),
        history=("never smoked",),
        events=(Event(0.5, 0.9, "wheeze"), Event(0.1, 0.2, "rub")),
        official_split="old",
    )
    assert items["visit-2/audio/p2.wav"].patient_id == "folder:p2"


def test_words_of_the_users_own_bring_their_place(root):
    places = {item.patient_id: (item.source_label, item.place) for item in read(root)}
    assert places["folder:p6"] == ("gesund", Place(CONTROL, None))
    assert places["folder:p8"] == ("heart", Place(None, "a disease of the heart"))
    assert places["folder:p1"] == ("asthma", None)


def test_a_file_name_is_enough(tmp_path):
    (found,) = table(tmp_path / "mine", "\ufefffile_name\r\n./a.wav\r\n")
    assert found == Found(source="folder", path=tmp_path / "mine" / "a.wav", patient_id=None, source_label="")


def test_a_blank_label_is_none(root):
    assert {item.source_label for item in read(root) if item.patient_id == "folder:p7"} == {""}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a.wav,old,,", "its age"),
        ("a.wav,-1,,", "its age"),
        ("a.wav,131,,", "its age"),
        ("a.wav,nan,,", "its age"),
        ("a.wav,,woman,", "its sex"),
        ("a.wav,,,gurgle 1 2", "'gurgle', which is none of: fine crackle"),
        ("a.wav,,,wheeze 2 1", "does not end after it starts"),
        ("a.wav,,,wheeze", "kind, start and end"),
        ("a.wav,,,,more", "more cells"),
        ("a.wav,,,\nsub/../a.wav,,,", "not in the folder"),
        ("a.wav,,,\n./a.wav,,,", "listed twice"),
        ("b.wav,,,\na.wav,,,", "does not exist"),
        ("a.wav,,,\n/etc/b.wav,,,", "not in the folder"),
        ("a.wav,,,\n../mine/a.wav,,,", "not in the folder"),
        ("a.wav,,,\nb\0.wav,,,", "not in the folder"),
        ("a.wav,,,\n,1,,", "names no file"),
        ("a.wav,,,\nmetadata.csv,,,", "does not end like"),
        (f"a.wav,,,\n{'b' * 300}.wav,,,", "does not exist"),
        ("", "in no metadata.csv"),
    ],
)
def test_a_row_that_cannot_be_believed_is_set_aside(tmp_path, row, reason):
    items = table(tmp_path / "mine", f"file_name,age_years,sex,events\n{row}\n")
    (item,) = [item for item in items if isinstance(item, SetAside)]
    assert reason in item.reason
    assert not item.excluded
    assert item.path.is_relative_to(tmp_path / "mine")
    assert [item.path.name for item in items].count("a.wav") == 1


def test_the_same_file_in_two_tables_is_listed_twice(root):
    (root / "visit-2" / "audio" / "metadata.csv").write_text("file_name\np1.wav\n")
    (item,) = [item for item in read(root) if isinstance(item, SetAside)]
    assert item.reason == "it is listed twice in metadata.csv"


def test_links_to_folders_lead_to_the_same_file(tmp_path, root):
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "sounds").symlink_to(root / "visit-2" / "audio")
    (tmp_path / "linked" / "metadata.csv").write_text("file_name\nsounds/p1.wav\n")
    found = [item for item in read(tmp_path / "linked") if isinstance(item, Found)]
    assert [item.path for item in found] == [tmp_path / "linked" / "sounds" / "p1.wav"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file_name,lable\n", r"'lable', which is none of: file_name, label"),
        ("file_name;label\n", r"'file_name;label', which is none of"),
        ("file_name,label,label\n", r"'label' twice"),
        ("label\n", r"no column 'file_name'"),
        ("", r"no column 'file_name'"),
        ('file_name\n"a', r"cannot be read"),
    ],
)
def test_a_table_that_cannot_be_understood_is_named_with_a_way_out(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        table(tmp_path / "mine", text)


def test_without_a_table_an_example_is_given(tmp_path):
    with pytest.raises(UserError, match=r"no metadata.csv in .*file_name,label,patient_id.*asthma"):
        list(read(tmp_path))


@pytest.mark.parametrize("text", ["", "a,b\n", "source_label,label,reason\nx,flu,\n"])
def test_a_table_of_labels_that_is_not_understood_is_named(root, text):
    (root / "labels.csv").write_text(text)
    with pytest.raises(UserError, match=r"labels.csv is not understood"):
        list(read(root))


def test_all_columns_are_documented():
    from resp_agent.corpus.sources import folder

    assert all(f"| `{column}`" in folder.__doc__ for column in COLUMNS)


times = st.floats(0, 100, allow_subnormal=False)


@given(st.lists(st.tuples(st.sampled_from(EVENT_KINDS), times, times).filter(lambda e: e[1] < e[2])))
def test_events_are_read_as_they_were_written(events):
    cell = "; ".join(f"{kind} {start!r} {end!r}" for kind, start, end in events)
    assert parse_events(cell) == tuple(Event(start, end, kind) for kind, start, end in events)


@given(st.text())
def test_any_text_is_events_or_refused(text):
    with suppress(BadAnnotation):
        assert all(event.kind in EVENT_KINDS for event in parse_events(text))
