"""What may be said for asking for a cell: its features, each from 0 (nothing) to 1 (everything)."""

import numpy as np

from resp_agent.curriculum.observation import unscaled
from resp_agent.curriculum.policies.base import Observation, typical_where_unheld
from resp_agent.curriculum.policies.hard_domain import style_f1

FEATURES = ("weakness", "uncertainty", "rarity", "confusion", "progress", "style_gap", "novelty")
"""Their names, in the order of the last axis of `matrix`."""
HEARD = 10
"""Recordings and clips of a cell at which its novelty is one half."""


def cell_features(observation: Observation, progress: np.ndarray) -> dict[str, np.ndarray]:
    """Name -> (C, S) values from 0 to 1.

    | feature     | value                                                                               |
    | ----------- | ----------------------------------------------------------------------------------- |
    | weakness    | 1 - F1 on validation, one-vs-rest within the style                                  |
    | uncertainty | mean entropy of the calibrated predictions over log C                               |
    | rarity      | 1 - log(1 + n) / log(1 + most), n the label's real training recordings              |
    | confusion   | share of the label that others are given, and of what is called so that is not, halved |
    | progress    | what the diagnoser has been learning of the cell; see `LearningProgress`            |
    | style_gap   | macro-F1 of the best style - macro-F1 of this one                                   |
    | novelty     | 10 / (10 + n), n the cell's real training recordings and clips so far               |

    What validation does not hold of a label has the mean of the labels that it holds.

    Args:
        observation: see `resp_agent.curriculum.observation`.
        progress: (C, S), 0 to 1.
    """
    labels, styles = np.shape(observation["cell_f1"])
    counts = unscaled(observation["real_count"]).sum(axis=1)
    heard = unscaled(observation["real_count"]) + unscaled(observation["synthetic_count"])
    rarity = 1 - np.log1p(counts) / np.log1p(max(counts.max(), 1))
    held = np.asarray(observation["label_held"], np.float64)
    missed = 1 - np.asarray(observation["label_recall"], np.float64)
    wrongly = _called_wrongly(np.asarray(observation["confusion"], np.float64))
    by_style = style_f1(observation)
    gap = np.nanmax(by_style) - by_style if np.isfinite(by_style).any() else np.zeros(styles)
    gap = np.where(np.isfinite(gap), gap, np.nanmean(gap) if np.isfinite(gap).any() else 0.0)
    found = {
        "weakness": typical_where_unheld(1 - np.asarray(observation["cell_f1"], np.float64), observation),
        "uncertainty": typical_where_unheld(observation["cell_entropy"], observation),
        "rarity": _every_style(rarity, styles),
        "confusion": typical_where_unheld(_every_style(held * (missed + wrongly) / 2, styles), observation),
        "progress": np.asarray(progress, np.float64),
        "style_gap": np.repeat(gap[None, :], labels, axis=0),
        "novelty": HEARD / (HEARD + heard),
    }
    return {name: np.clip(found[name], 0, 1) for name in FEATURES}


def matrix(features: dict[str, np.ndarray]) -> np.ndarray:
    """(C, S, 7) features of every cell."""
    return np.stack([features[name] for name in FEATURES], axis=-1)


class LearningProgress:
    """How much the diagnoser's confidence in each cell has been moving: absolute learning progress (Oudeyer et al.
    2007), as a moving average over rounds, over the largest one; all 0 before the first round."""

    def __init__(self, shape: tuple[int, int], keep: float = 0.5):
        self._shape, self._keep = shape, keep
        self._change = np.zeros(shape)

    @property
    def values(self) -> np.ndarray:
        """(C, S), 0 to 1."""
        most = self._change.max()
        return self._change / most if most > 0 else self._change.copy()

    def update(self, before: Observation, after: Observation) -> None:
        """Notes what a round has changed."""
        change = np.abs(np.asarray(after["cell_confidence"], np.float64) - before["cell_confidence"])
        self._change = self._keep * self._change + (1 - self._keep) * change

    def state(self) -> list[list[float]]:
        """As plain data."""
        return self._change.tolist()

    def load(self, state: list[list[float]]) -> None:
        """Goes on from a `state`.

        Raises:
            ValueError: it is of other labels and styles.
        """
        change = np.asarray(state, np.float64)
        if change.shape != self._shape:
            raise ValueError(f"learning progress must be of shape {self._shape}: it is of {change.shape}")
        self._change = change


def _called_wrongly(confusion: np.ndarray) -> np.ndarray:
    """(C,) of what is given a label, the share that is another's, labels being equally frequent."""
    given = confusion.sum(axis=0)
    return np.where(given > 0, 1 - np.diag(confusion) / np.maximum(given, 1e-12), 0.0)


def _every_style(values: np.ndarray, styles: int) -> np.ndarray:
    return np.repeat(values[:, None], styles, axis=1)
