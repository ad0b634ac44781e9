"""Scores of the ICBHI 2017 challenge (Rocha et al. 2019, Physiological Measurement 40): respiratory cycles by class."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class CycleScores:
    """Scores of 0 to 1; None where a split holds nothing that would define one."""

    specificity: float | None
    """Sp: correct normal cycles of all normal ones; None without a normal cycle."""
    sensitivity: float | None
    """Se: abnormal cycles given exactly their class, of all abnormal ones; None without an abnormal cycle."""

    @property
    def score(self) -> float | None:
        """(Sp + Se) / 2; None where one of them is undefined."""
        if self.specificity is None or self.sensitivity is None:
            return None
        return (self.specificity + self.sensitivity) / 2


def cycle_scores(confusion: np.ndarray, normal: int) -> CycleScores:
    """The scores of a confusion.

    Args:
        confusion: (C, C) counts, rows are true classes.
        normal: index of the class of normal cycles; all others are abnormal.
    """
    right, held = np.diagonal(confusion), confusion.sum(axis=1)
    abnormal = np.arange(len(confusion)) != normal
    return CycleScores(_share(right[normal], held[normal]), _share(right[abnormal].sum(), held[abnormal].sum()))


def _share(count: int, total: int) -> float | None:
    return float(count / total) if total else None
