"""What a policy sees: the last assessment, the clips so far and what is left, as bounded arrays.

Letters: C labels, S styles. Every array is float32.

| name             | shape  | meaning                                                                 | min | max |
| ---------------- | ------ | ----------------------------------------------------------------------- | --- | --- |
| label_f1         | (C,)   | F1 on validation                                                        | 0   | 1   |
| label_precision  | (C,)   | precision on validation                                                 | 0   | 1   |
| label_recall     | (C,)   | recall on validation                                                    | 0   | 1   |
| label_confidence | (C,)   | mean calibrated probability of the true label                           | 0   | 1   |
| label_held       | (C,)   | 1 where validation holds the label, 0 where not (its scores are then 0) | 0   | 1   |
| cell_f1          | (C, S) | F1, one-vs-rest within the style                                        | 0   | 1   |
| cell_confidence  | (C, S) | mean calibrated probability of the true label                           | 0   | 1   |
| cell_entropy     | (C, S) | mean entropy of the prediction over log C                               | 0   | 1   |
| cell_share       | (C, S) | share of validation; 0: none there, the label's values stand in above   | 0   | 1   |
| real_count       | (C, S) | real training recordings n, as n / (n + 20)                             | 0   | 1   |
| synthetic_count  | (C, S) | clips synthesized so far n, as n / (n + 20)                             | 0   | 1   |
| confusion        | (C, C) | of the recordings of a true label (row), share given each label         | 0   | 1   |
| budget_left      | (1,)   | share of the budget that is not spent                                   | 0   | 1   |
| last_reward      | (1,)   | reward of the last round, 0 at the start                                | -1  | 1   |

Counts need no known maximum: n / (n + 20) is 0 at none, one half at 20 and tends to 1; `unscaled` undoes it.
"""

import numpy as np

from resp_agent.curriculum.assessment import Assessment

HALF_COUNT = 20
"""Recordings at which a scaled count is one half."""

Layout = dict[str, tuple[tuple[int, ...], float, float]]


def layout(labels: int, styles: int) -> Layout:
    """Name -> (shape, least value, greatest value) of every array of an observation of C labels and S styles."""
    label, cell = (labels,), (labels, styles)
    return {
        "label_f1": (label, 0.0, 1.0),
        "label_precision": (label, 0.0, 1.0),
        "label_recall": (label, 0.0, 1.0),
        "label_confidence": (label, 0.0, 1.0),
        "label_held": (label, 0.0, 1.0),
        "cell_f1": (cell, 0.0, 1.0),
        "cell_confidence": (cell, 0.0, 1.0),
        "cell_entropy": (cell, 0.0, 1.0),
        "cell_share": (cell, 0.0, 1.0),
        "real_count": (cell, 0.0, 1.0),
        "synthetic_count": (cell, 0.0, 1.0),
        "confusion": ((labels, labels), 0.0, 1.0),
        "budget_left": ((1,), 0.0, 1.0),
        "last_reward": ((1,), -1.0, 1.0),
    }


def observe(
    assessment: Assessment, synthetic_counts: np.ndarray, budget_left_share: float, last_reward: float
) -> dict[str, np.ndarray]:
    """The observation after an assessment, as laid out in the table above.

    Args:
        assessment: scores on validation.
        synthetic_counts: (C, S) clips synthesized so far.
        budget_left_share: 0 to 1.
        last_reward: -1 to 1.

    Raises:
        ValueError: counts are not one for each label and style, or a value is not finite or out of its bounds.
    """
    labels, styles = len(assessment.labels), len(assessment.styles)
    if len(assessment.train_counts) != labels * styles:
        raise ValueError(
            f"the assessment has {len(assessment.train_counts)} training counts: give one for each of "
            f"{labels} labels x {styles} styles"
        )
    by_label, by_cell = assessment.by_label, assessment.by_cell()
    values = {f"label_{name}": by_label[name] for name in ("f1", "precision", "recall", "confidence")}
    values |= {f"cell_{name}": by_cell[name] for name in ("f1", "confidence", "entropy", "share")}
    values["label_held"] = assessment.held
    values["real_count"] = scaled(np.reshape(assessment.train_counts, (labels, styles)))
    values["synthetic_count"] = scaled(synthetic_counts)
    rows = assessment.confusion.astype(np.float64)
    values["confusion"] = rows / np.maximum(rows.sum(axis=1, keepdims=True), 1)
    values["budget_left"] = [budget_left_share]
    values["last_reward"] = [last_reward]
    return {
        name: _bounded(name, values[name], shape, low, high)
        for name, (shape, low, high) in layout(labels, styles).items()
    }


def scaled(counts: np.ndarray) -> np.ndarray:
    """Counts n >= 0 as n / (n + 20), in [0, 1)."""
    counts = np.asarray(counts, np.float64)
    return counts / (counts + HALF_COUNT)


def unscaled(values: np.ndarray) -> np.ndarray:
    """The counts behind `scaled` values, rounded to whole ones; float32 keeps them exact up to 10,000."""
    values = np.minimum(np.asarray(values, np.float64), 1 - 2.0**-25)
    return np.rint(HALF_COUNT * values / (1 - values))


def _bounded(name: str, value: object, shape: tuple[int, ...], low: float, high: float) -> np.ndarray:
    array = np.asarray(value, np.float64)
    # Sums of probabilities may leave the bounds by a rounding error, nothing else may.
    if array.shape != shape or not (np.all(array >= low - 1e-6) and np.all(array <= high + 1e-6)):
        raise ValueError(f"{name} of the observation must be of shape {shape} within {low} to {high}: it is {array}")
    return np.clip(array, low, high).astype(np.float32)
