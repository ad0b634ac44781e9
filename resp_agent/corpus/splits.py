"""Patients to train, valid and test: none on two sides, every label on each side that has enough patients."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from resp_agent.corpus.schema import SPLITS
from resp_agent.randomness import stream

VALID_SHARE = 0.2
"""Share of each label's recordings for validation."""
TEST_SHARE = 0.2
"""Share of each label's recordings for the test split, where no source is a test source."""


def split_patients(
    patients: Sequence[str],
    labels: Sequence[str],
    seed: int,
    valid_share: float = VALID_SHARE,
    test_share: float = TEST_SHARE,
) -> tuple[dict[str, str], list[str]]:
    """A split for each patient, and notes on labels that some split lacks.

    `patients` and `labels` name each recording's patient and label. The rarest label is dealt with first. Its patients,
    shuffled and then those with most recordings first, go each to the split whose share of the label's recordings is
    furthest from met. A label with fewer patients than splits in use stays in train with all of them. A label with
    enough is in every split, unless its patients are bound by other labels that they have too: a patient is on one
    side only, whatever follows, and every label is in train.

    Raises:
        ValueError: the shares leave nothing to train on, or lengths differ.
    """
    if valid_share < 0 or test_share < 0 or valid_share + test_share >= 1:
        raise ValueError(f"shares {valid_share} and {test_share} leave nothing to train on")
    shares = {"train": 1 - valid_share - test_share, "valid": valid_share, "test": test_share}
    used = [split for split in SPLITS if shares[split] > 0]
    counts: dict[str, Counter] = defaultdict(Counter)
    for patient, label in zip(patients, labels, strict=True):
        counts[label][patient] += 1
    rarest_first = sorted(counts, key=lambda label: (len(counts[label]), label))

    side: dict[str, str] = {}
    notes = {}
    for label in rarest_first:
        if len(counts[label]) < len(used):
            side.update(dict.fromkeys(counts[label], "train"))
            lacking = " and ".join(used[1:])
            notes[label] = (
                f"label {label!r} has too few patients ({len(counts[label])}) for {lacking}: it stays in train"
            )
    for label in rarest_first:
        if label not in notes:
            _deal(label, counts[label], shares, used, side, seed)
    for label in rarest_first:
        sides = {side[patient] for patient in counts[label]}
        if "train" not in sides:
            side[min(counts[label])] = "train"
    for label in rarest_first:
        lacking = [split for split in used if split not in {side[patient] for patient in counts[label]}]
        if lacking and label not in notes:
            notes[label] = (
                f"label {label!r} is not in {' and '.join(lacking)}: its patients are bound there by other labels"
            )
    return side, [notes[label] for label in sorted(notes)]


def _deal(
    label: str, patients: Counter, shares: dict[str, float], used: list[str], side: dict[str, str], seed: int
) -> None:
    """Adds the label's patients that have no side yet to `side`."""
    total = sum(patients.values())
    held = Counter()
    for patient, count in patients.items():
        if patient in side:
            held[side[patient]] += count
    free = sorted(patient for patient in patients if patient not in side)
    stream(seed, "splits", label).shuffle(free)
    free.sort(key=lambda patient: -patients[patient])
    for position, patient in enumerate(free):
        empty = [split for split in used if not held[split]]
        among = empty if len(empty) >= len(free) - position else used
        side[patient] = max(among, key=lambda split: shares[split] * total - held[split])
        held[side[patient]] += patients[patient]
