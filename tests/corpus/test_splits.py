"""Splitting patients: no one on two sides, every label on each side that has the patients for it."""

from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resp_agent.corpus.schema import SPLITS
from resp_agent.corpus.splits import split_patients

labels = st.sampled_from("abcde")
one_label_each = st.dictionaries(st.integers(0, 60).map(str), st.tuples(labels, st.integers(1, 12)), min_size=1)
any_labels = st.lists(st.tuples(st.integers(0, 15).map(str), labels), min_size=1, max_size=80)
seeds = st.integers(0, 2**64 - 1)
shares = st.sampled_from([(0.2, 0.2), (0.1, 0.3), (0.2, 0.0), (0.0, 0.2), (0.0, 0.0), (0.45, 0.45)])


def sides_of(rows, side):
    sides, patients = defaultdict(set), defaultdict(set)
    for patient, label in rows:
        sides[label].add(side[patient])
        patients[label].add(patient)
    return sides, patients


@given(any_labels, seeds, shares)
def test_every_patient_has_one_side_and_every_label_is_trained_or_noted(rows, seed, share):
    side, notes = split_patients([p for p, _ in rows], [x for _, x in rows], seed, *share)
    assert set(side) == {patient for patient, _ in rows}
    used = {"train"} | ({"valid"} if share[0] else set()) | ({"test"} if share[1] else set())
    assert set(side.values()) <= used
    sides, _ = sides_of(rows, side)
    for label, held in sides.items():
        assert "train" in held
        assert (held != used) == any(f"label {label!r}" in note for note in notes)


@given(one_label_each, seeds, shares)
def test_a_label_with_enough_patients_is_on_every_side_and_one_without_is_in_train(patients, seed, share):
    rows = [(patient, label) for patient, (label, count) in patients.items() for _ in range(count)]
    side, notes = split_patients([p for p, _ in rows], [x for _, x in rows], seed, *share)
    used = 1 + (share[0] > 0) + (share[1] > 0)
    sides, counts = sides_of(rows, side)
    for label, held in sides.items():
        enough = len(counts[label]) >= used
        assert len(held) == used if enough else held == {"train"}
        assert any(f"label {label!r} has too few" in note for note in notes) != enough


@given(any_labels, seeds)
def test_the_order_of_recordings_changes_nothing(rows, seed):
    forward = split_patients([p for p, _ in rows], [x for _, x in rows], seed)
    backward = split_patients([p for p, _ in rows[::-1]], [x for _, x in rows[::-1]], seed)
    assert forward == backward


def test_shares_are_met_and_the_seed_moves_patients():
    patients = [f"p{i}" for i in range(100) for _ in range(3)]
    chosen = ["a" if int(p[1:]) < 60 else "b" for p in patients]
    side, notes = split_patients(patients, chosen, seed=1)
    assert notes == []
    assert Counter(side.values()) == {"train": 60, "valid": 20, "test": 20}
    for label, size in (("a", 60), ("b", 40)):
        held = Counter(side[p] for p, x in set(zip(patients, chosen, strict=True)) if x == label)
        assert held == {"train": 0.6 * size, "valid": 0.2 * size, "test": 0.2 * size}
    assert side == split_patients(patients, chosen, seed=1)[0]
    assert side != split_patients(patients, chosen, seed=2)[0]


def test_three_patients_are_one_for_each_side_however_uneven():
    patients = ["many"] * 50 + ["few"] * 2 + ["one"]
    side, _ = split_patients(patients, ["a"] * 53, seed=0)
    assert sorted(side.values()) == sorted(SPLITS)
    assert side["many"] == "train"


def test_a_patient_of_a_rare_label_is_in_train_with_all_recordings():
    rows = [("x", "rare"), ("x", "common"), ("y", "common"), ("z", "common"), ("w", "common")]
    side, notes = split_patients([p for p, _ in rows], [x for _, x in rows], seed=0)
    assert side["x"] == "train"
    assert notes == ["label 'rare' has too few patients (1) for valid and test: it stays in train"]
    assert set(side.values()) == set(SPLITS)


@pytest.mark.parametrize("share", [(0.5, 0.5), (-0.1, 0.2), (0.9, 0.2)])
def test_shares_that_leave_nothing_are_refused(share):
    with pytest.raises(ValueError, match="leave nothing"):
        split_patients(["p"], ["a"], 0, *share)
