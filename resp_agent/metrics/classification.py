"""Scores of a classifier beyond those of an assessment: of rare labels, of its confidence, of chance in the sample."""

from collections.abc import Sequence

import numpy as np

from resp_agent.randomness import stream

TAIL = 8
"""Labels that make the tail."""


def tail_labels(counts: Sequence[int], size: int = TAIL) -> np.ndarray:
    """(size,) indices of the labels with the least training recordings, rarest first; at most as many as there are.

    Labels without any are none that a model could know. Of equally rare ones the later in the taxonomy comes first.
    """
    order = sorted((count, -index) for index, count in enumerate(counts) if count)
    return np.array([-index for _, index in order[:size]], int)


def tail_f1(f1: np.ndarray, held: np.ndarray, counts: Sequence[int], size: int = TAIL) -> float | None:
    """Mean F1 of the rarest labels in training that a split holds; None where it holds none of them.

    Args:
        f1: (C,) by label.
        held: (C,) bool, the labels that the split holds.
        counts: (C,) training recordings by label.
    """
    tail = [index for index in tail_labels(counts, size) if held[index]]
    return float(np.mean(f1[tail])) if tail else None


def calibration_error(probabilities: np.ndarray, truth: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error, 0 to 1: the distance of confidence from accuracy within equal bins of confidence,
    weighted by their recordings (Guo et al. 2017, equation 3).

    Args:
        probabilities: (N, C).
        truth: (N,) index of the true label.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(bin_of, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(truth))


def patient_interval(
    truth: np.ndarray,
    predicted: np.ndarray,
    held: np.ndarray,
    patients: Sequence[str],
    seed: int,
    resamples: int = 2000,
) -> tuple[float, float]:
    """The 95 % percentile interval of macro-F1, patients resampled (Efron and Tibshirani 1993, chapter 13).

    Labels are those that the whole split holds; one that a resample misses counts 0 true positives there.

    Args:
        truth, predicted: (N,) index of the label.
        held: (C,) bool.
        patients: (N,) whose recording it is.
        seed: resamples are drawn from it.
    """
    rng = stream(seed, "judge", "bootstrap")
    names, group = np.unique(np.asarray(patients), return_inverse=True)
    labels = len(held)
    by_patient = np.zeros((len(names), labels * labels))
    np.add.at(by_patient, (group, truth * labels + predicted), 1)
    draws = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    confusion = (draws @ by_patient).reshape(resamples, labels, labels)
    hits = np.diagonal(confusion, axis1=1, axis2=2)
    f1 = 2 * hits / np.maximum(confusion.sum(axis=1) + confusion.sum(axis=2), 1)
    low, high = np.percentile(f1[:, held].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)
