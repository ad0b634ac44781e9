"""What the diagnoser scored on a split: the numbers behind observation, reward and report."""

from dataclasses import dataclass, field, fields

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support


@dataclass(frozen=True, eq=False)
class Assessment:
    """Scores of one split. Letters: N recordings, C labels, S styles.

    Averages over labels are over those that the split holds (`held`).
    """

    split: str
    labels: tuple[str, ...]
    styles: tuple[str, ...]
    ids: tuple[str, ...] = field(repr=False)
    truth: np.ndarray = field(repr=False)
    """(N,) index of the true label."""
    style: np.ndarray = field(repr=False)
    """(N,) index of the style."""
    probabilities: np.ndarray = field(repr=False)
    """(N, C) calibrated."""
    temperature: float = 1.0
    """What logits were divided by."""
    train_counts: tuple[int, ...] = ()
    """Real training recordings for each label and style, (C * S,) row-major by label."""
    losses: tuple[float, ...] = ()
    """Training losses since the last assessment, one a step."""

    def __eq__(self, other: object) -> bool:
        """Whether every field is the same, bit for bit."""
        if not isinstance(other, Assessment):
            return NotImplemented
        return all(np.array_equal(getattr(self, entry.name), getattr(other, entry.name)) for entry in fields(self))

    @property
    def predicted(self) -> np.ndarray:
        """(N,) index of the most probable label."""
        return self.probabilities.argmax(axis=1)

    @property
    def held(self) -> np.ndarray:
        """(C,) True where the split holds the label."""
        return np.bincount(self.truth, minlength=len(self.labels)) > 0

    @property
    def confusion(self) -> np.ndarray:
        """(C, C) counts, rows are true labels."""
        return confusion_matrix(self.truth, self.predicted, labels=range(len(self.labels)))

    @property
    def by_label(self) -> dict[str, np.ndarray]:
        """`precision`, `recall`, `f1`, `confidence` (mean probability of the true label): (C,); 0 if not held."""
        precision, recall, f1, _ = precision_recall_fscore_support(
            self.truth, self.predicted, labels=range(len(self.labels)), zero_division=0.0
        )
        confidence = self._mean_by(self._true_probability, self.truth)
        return {"precision": precision, "recall": recall, "f1": f1, "confidence": confidence}

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the labels that the split holds."""
        return float(self.by_label["f1"][self.held].mean())

    @property
    def soft_f1(self) -> np.ndarray:
        """(C,) F1 of every label with probabilities in place of decisions; 0 if not held."""
        one_hot = np.eye(len(self.labels))[self.truth]
        hits = (one_hot * self.probabilities).sum(axis=0)
        return 2 * hits / np.maximum(one_hot.sum(axis=0) + self.probabilities.sum(axis=0), 1e-12)

    @property
    def soft_macro_f1(self) -> float:
        """Macro-F1 with probabilities in place of decisions."""
        return float(self.soft_f1[self.held].mean())

    @property
    def accuracy(self) -> float:
        """Share of recordings whose most probable label is the true one."""
        return float((self.predicted == self.truth).mean())

    def by_cell(self) -> dict[str, np.ndarray]:
        """`f1` (one-vs-rest within the style), `confidence`, `entropy` (0 to 1) and `share` of the split, each (C, S).

        Where the split holds nothing of a label in a style, the label's own value stands in and the share is 0.
        """
        labels, styles = len(self.labels), len(self.styles)
        overall = self.by_label
        entropy = -(self.probabilities * np.log(np.maximum(self.probabilities, 1e-12))).sum(axis=1) / np.log(labels)
        label_entropy = self._mean_by(entropy, self.truth)
        f1 = np.repeat(overall["f1"][:, None], styles, axis=1)
        confidence = np.repeat(overall["confidence"][:, None], styles, axis=1)
        cell_entropy = np.repeat(label_entropy[:, None], styles, axis=1)
        share = np.zeros((labels, styles))
        for s in range(styles):
            here = self.style == s
            if not here.any():
                continue
            _, _, within, _ = precision_recall_fscore_support(
                self.truth[here], self.predicted[here], labels=range(labels), zero_division=0.0
            )
            for c in np.unique(self.truth[here]):
                cell = here & (self.truth == c)
                f1[c, s] = within[c]
                confidence[c, s] = self._true_probability[cell].mean()
                cell_entropy[c, s] = entropy[cell].mean()
                share[c, s] = cell.mean()
        return {"f1": f1, "confidence": confidence, "entropy": np.clip(cell_entropy, 0, 1), "share": share}

    @property
    def _true_probability(self) -> np.ndarray:
        return self.probabilities[np.arange(len(self.truth)), self.truth]

    def _mean_by(self, values: np.ndarray, group: np.ndarray) -> np.ndarray:
        totals = np.bincount(group, weights=values, minlength=len(self.labels))
        return totals / np.maximum(np.bincount(group, minlength=len(self.labels)), 1)
