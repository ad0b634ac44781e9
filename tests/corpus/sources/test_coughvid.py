"""The COUGHVID reader: on a made layout, and on the real table."""

import csv
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resp_agent.corpus.sources import Found, SetAside
from resp_agent.corpus.sources.coughvid import COLUMNS, NO_COUGH, TABLE, UNSTATED, majority, read, source_label
from tests.corpus import layouts


@pytest.fixture
def root(tmp_path):
    return layouts.coughvid(tmp_path / "coughvid")


def by_name(root):
    return {item.path.stem: item for item in read(root)}


def test_a_recording_is_what_its_row_says(root):
    assert by_name(root)["00-aa"] == Found(
        source="coughvid",
        path=root / "00-aa.ogg",
        patient_id=None,
        source_label="healthy",
        device="participant's own microphone",
        age_years=30.0,
        sex="female",
        symptoms=("fever or muscle pain",),
        history=("a respiratory condition",),
    )


def test_other_gender_and_denied_symptoms_say_nothing(root):
    items = by_name(root)
    assert items["02-cc"].sex is None
    assert items["01-bb"].symptoms == ()


def test_labels_are_what_participants_and_most_experts_say(root):
    labels = {name: item.source_label for name, item in by_name(root).items()}
    assert labels == layouts.COUGHVID_STATUS | {
        "06-gg": "symptomatic, experts: upper_infection",
        "07-hh": "symptomatic",
        "08-ii": UNSTATED,
    }


def test_what_is_no_cough_is_excluded(root):
    (item,) = [item for item in read(root) if isinstance(item, SetAside)]
    assert (item.path.stem, item.source_label, item.reason, item.excluded) == ("09-jj", "healthy", NO_COUGH, True)


def test_tables_without_experts_are_read(root):
    layouts.write_csv(root / TABLE, [{"uuid": "00-aa", "SNR": "16.4", "status": "symptomatic"}])
    assert by_name(root)["00-aa"].source_label == "symptomatic"


@pytest.mark.parametrize("table", [None, b"", b"uuid\n\xff\x00", b"id,status\n00-aa,healthy\n"])
def test_without_a_table_every_recording_has_a_reason(root, table):
    (root / TABLE).unlink()
    if table is not None:
        (root / TABLE).write_bytes(table)
    assert {item.reason for item in read(root)} == {"its name is no uuid of the metadata table"}


@given(st.lists(st.sampled_from(["", " ", "a", "b"]), min_size=4, max_size=4))
def test_a_majority_is_strict_and_of_those_who_wrote(cells):
    written = [cell for cell in cells if cell.strip()]
    word = majority({f"quality_{number}": cell for number, cell in enumerate(cells, 1)}, "quality")
    expected = [w for w in set(written) if written.count(w) > len(written) - written.count(w)]
    assert [word] == (expected or [None])


@pytest.mark.corpora
def test_the_real_table_says_what_it_should(shared):
    with (shared / "corpora" / "coughvid" / TABLE).open(newline="") as file:
        rows = [dict.fromkeys(COLUMNS, "") | row for row in csv.DictReader(file)]
    labels = Counter(source_label(row) for row in rows)
    assert len(rows) == labels.total() == 20_072
    assert (labels["healthy"], labels["COVID-19"], labels[UNSTATED]) == (8_562, 1_010, 8_758)
    assert sum(times for label, times in labels.items() if label.startswith("symptomatic")) == 1_742
