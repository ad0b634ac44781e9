"""Duplicates, patients and splits together: nobody, and no audio, on two sides."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resp_agent.corpus.assembly import duplicates, joined_patients, settle, split_by_role
from resp_agent.corpus.schema import ALL_SPLITS, NO_SPLIT
from resp_agent.settings import CorpusSettings
from resp_agent.taxonomy import UNLABELLED

ROLES = {"a": "train", "b": "train", "c": "test", "d": "none"}
recording = st.tuples(
    st.sampled_from("abcd"), st.integers(0, 8), st.integers(0, 25), st.sampled_from(["x", "y", "z", UNLABELLED])
)
corpora = st.lists(recording, max_size=60)
roles = st.fixed_dictionaries({source: st.sampled_from(["train", "test", "none"]) for source in "abcd"})


def columns(rows) -> dict[str, list]:
    return {
        "source": [source for source, *_ in rows],
        "patient_id": [f"{source}:{patient}" for source, patient, *_ in rows],
        "id": [f"audio {audio}" for _, _, audio, _ in rows],
        "label": [label for *_, label in rows],
        "path": [f"{number}.wav".encode() for number in range(len(rows))],
        "reason": [None] * len(rows),
    }


@given(corpora, roles, st.integers(0, 2**32))
def test_no_patient_and_no_audio_is_on_two_sides_and_nothing_is_lost(rows, role, seed):
    given_columns = columns(rows)
    settled = settle(given_columns, role, CorpusSettings(seed=seed))
    assert set(settled.split) == {index for index, reason in enumerate(settled.reasons) if reason is None}
    assert set(settled.split.values()) <= set(ALL_SPLITS)
    sides, heard = defaultdict(set), defaultdict(list)
    for index, split in settled.split.items():
        if split != NO_SPLIT:
            sides[given_columns["patient_id"][index]].add(split)
        heard[given_columns["id"][index]].append(index)
    assert all(len(found) == 1 for found in heard.values())
    assert all(len(found) == 1 for found in sides.values())
    for index, (source, _, audio, label) in enumerate(rows):
        diagnoses = {other for _, _, same, other in rows if same == audio} - {UNLABELLED}
        if len(diagnoses) > 1:
            assert index not in settled.split, "audio with two labels cannot be believed"
        elif index in settled.split:
            split = settled.split[index]
            assert (split == NO_SPLIT) or (label != UNLABELLED and role[source] != "none")
            assert role[source] != "test" or split in ("test", NO_SPLIT)
        else:
            assert "duplicate" in settled.reasons[index]
            assert any(given_columns["id"][other] == f"audio {audio}" for other in settled.split)


@given(corpora, st.integers(0, 2**32))
def test_patients_who_share_audio_are_on_one_side_of_training(rows, seed):
    role = dict.fromkeys("abcd", "train")
    given_columns = columns(rows)
    settled = settle(given_columns, role, CorpusSettings(seed=seed))
    persons = joined_patients(given_columns["id"], given_columns["patient_id"])
    sides = defaultdict(set)
    for index, split in settled.split.items():
        if split != NO_SPLIT:
            sides[persons[given_columns["patient_id"][index]]].add(split)
    assert all(len(found) == 1 for found in sides.values())


def test_patients_are_joined_through_others():
    persons = joined_patients(["1", "1", "2", "2", "3"], ["c", "b", "b", "a", "d"])
    assert persons == {"a": "a", "b": "a", "c": "a", "d": "d"}


def test_a_copy_that_nobody_diagnosed_gives_way_and_contradicts_nothing():
    ids, labels = ["1", "1", "2", "2", "2"], [UNLABELLED, "asthma", "asthma", UNLABELLED, "COPD"]
    reasons = duplicates(list(range(5)), ids, labels, [f"{n}.wav".encode() for n in range(5)])
    both = "the same audio is labelled COPD and asthma"
    assert reasons == {0: "it is a duplicate: the same audio as 1.wav", 2: both, 3: both, 4: both}


def test_a_test_source_keeps_training_sources_out_of_the_test():
    patients = [f"p{n}" for n in range(20)] + ["t1", "t2", "n1"]
    role = ["train"] * 20 + ["test"] * 2 + ["none"]
    labels = ["x"] * 10 + ["y"] * 10 + ["x", "z", "x"]
    splits, notes = split_by_role(role, patients, labels, CorpusSettings())
    assert set(splits[:20]) == {"train", "valid"}
    assert splits[20:] == ["test", NO_SPLIT, NO_SPLIT]
    assert notes == ["label 'z' is in no source to train on: its 1 recordings for the test are in no split"]
    alone, _ = split_by_role(role[:20], patients[:20], labels[:20], CorpusSettings())
    assert set(alone) == {"train", "valid", "test"}


def test_who_is_trained_on_is_not_tested_under_another_name():
    rows = [("a", 1, 1, "x"), ("a", 1, 2, "x"), ("a", 2, 3, "x"), ("a", 3, 4, "x"), ("c", 9, 1, "x"), ("c", 9, 5, "x")]
    settled = settle(columns(rows), ROLES, CorpusSettings())
    assert settled.split[5] == NO_SPLIT
    assert settled.notes[-1] == (
        "1 recordings for the test are in no split: their patients share audio with trained ones"
    )


def test_with_nothing_to_train_on_the_test_is_kept_whole():
    assert split_by_role(["test", "test"], ["a", "b"], ["x", "y"], CorpusSettings()) == (["test", "test"], [])


@pytest.mark.parametrize("roles", [[], ["none"]])
def test_no_split_at_all(roles):
    assert split_by_role(roles, ["a"] * len(roles), ["x"] * len(roles), CorpusSettings()) == (
        [NO_SPLIT] * len(roles),
        [],
    )
