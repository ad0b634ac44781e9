"""The covid19-cough reader: on a made layout, and on the real metadata."""

import json
from collections import Counter

import pytest

from resp_agent.corpus.schema import Event
from resp_agent.corpus.sources import Found, SetAside
from resp_agent.corpus.sources.covid19cough import TABLE, read
from tests.corpus import layouts


@pytest.fixture
def root(tmp_path):
    return layouts.covid19cough(tmp_path / "covid19cough")


def test_a_recording_is_what_its_entry_says(root):
    first, second, *_ = read(root)
    assert first == Found(
        source="covid19cough",
        path=root / "raw" / "0f-cough.mp3",
        patient_id=None,
        source_label="covid19=True",
        device="telephone",
        events=(Event(0.2, 0.9, "cough"),),
    )
    assert (second.device, second.events) == ("smartphone", ())


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({}, "the metadata do not say"),
        ({"covid19": "True"}, "the metadata do not say"),
        ({"covid19": True, "start_at": 0.1}, "without two times"),
        ({"covid19": True, "start_at": [], "end_at": 1}, "without two times"),
        ({"covid19": True, "start_at": 0.5, "end_at": 0.5}, "does not end after it starts"),
        ({"covid19": True, "start_at": 0.5, "end_at": float("inf")}, "does not end after it starts"),
    ],
)
def test_a_bad_entry_is_set_aside(root, entry, reason):
    (root / TABLE).write_text(json.dumps([{"filename": "0f-cough.mp3", **entry}]))
    item = next(read(root))
    assert isinstance(item, SetAside)
    assert reason in item.reason


def test_an_unknown_source_is_an_unknown_device(root):
    (root / TABLE).write_text(json.dumps([{"filename": "0f-cough.mp3", "covid19": False, "source": "fax"}]))
    assert next(read(root)).device is None


@pytest.mark.parametrize("text", [None, "", "{", "{}", "[1, null]", "[" * 100_000])
def test_without_metadata_every_recording_has_a_reason(root, text):
    (root / TABLE).unlink()
    if text is not None:
        (root / TABLE).write_text(text)
    assert Counter(item.reason for item in read(root)) == {"the metadata do not describe it": 6}


@pytest.mark.corpora
def test_the_real_recordings_come_from_telephones_and_telegram(shared):
    items = list(read(shared / "corpora" / "covid19_cough"))
    assert {item.device for item in items} == {"telephone", "smartphone"}
    # Free text and the state of having no symptoms name no symptom.
    assert all(item.symptoms == item.history == () for item in items)
