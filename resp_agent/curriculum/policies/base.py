"""What a policy is, and the kind that draws cells of label x style from a distribution."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

Observation = dict[str, np.ndarray]
"""Arrays as laid out in `resp_agent.curriculum.observation`."""


@dataclass(frozen=True)
class Transition:
    """One round as a policy may learn from it."""

    observation: Observation = field(repr=False)
    """Before the round."""
    action: np.ndarray
    reward: float
    next_observation: Observation = field(repr=False)
    """After the round."""
    terminated: bool = False
    truncated: bool = False
    info: dict[str, Any] = field(default_factory=dict, repr=False)
    """What the environment said of the round."""


@runtime_checkable
class Policy(Protocol):
    """Chooses requests. Whatever learns within an episode, across episodes or not at all is a policy.

    Built with (labels, styles, requests_per_round, hardness_levels): names of the action's factors, cells that an
    action names, and levels of hardness.
    """

    def decide(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        """An action of int64, shape (2 * requests_per_round,): label and style index of each request in turn; with more
        than one level of hardness a third index for each.

        Every draw comes from `rng`.
        """

    def update(self, transition: Transition) -> None:
        """Learns from a round."""

    def state_dict(self) -> dict:
        """What it has learned, as plain data (JSON)."""

    def load_state_dict(self, state: dict) -> None:
        """Goes on from a `state_dict`."""

    def explain(self) -> dict:
        """Why the last decision came out as it did, as plain data for journal and report; {} before the first."""


class CellPolicy(ABC):
    """Draws cells with replacement, with probability proportional to their weight; learns nothing.

    A kind of it gives `weights`. Where all weights are zero, every cell is as probable as any other. Where there are
    levels of hardness, each request's is drawn too, all as probable.
    """

    def __init__(
        self, labels: tuple[str, ...], styles: tuple[str, ...], requests_per_round: int, hardness_levels: int = 1
    ):
        self.labels = tuple(labels)
        self.styles = tuple(styles)
        self.requests_per_round = requests_per_round
        self.hardness_levels = hardness_levels
        self._probabilities: np.ndarray | None = None

    @abstractmethod
    def weights(self, observation: Observation) -> np.ndarray:
        """(C, S) weights, none below zero."""

    def decide(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        """See `Policy.decide`.

        Raises:
            ValueError: a weight is negative or not finite, or there is not one for each cell.
        """
        self._probabilities = self._normalised(np.asarray(self.weights(observation), np.float64))
        cells = rng.choice(self._probabilities.size, size=self.requests_per_round, p=self._probabilities.ravel())
        factors = [*np.unravel_index(cells, self._probabilities.shape)]
        if self.hardness_levels > 1:
            factors.append(rng.integers(self.hardness_levels, size=self.requests_per_round))
        return np.stack(factors, axis=1).astype(np.int64).ravel()

    def update(self, transition: Transition) -> None:  # noqa: B027
        """Learns nothing."""

    def state_dict(self) -> dict:
        """{}: there is nothing to keep."""
        return {}

    def load_state_dict(self, state: dict) -> None:
        """Takes a state without content.

        Raises:
            ValueError: the state belongs to a policy that learns.
        """
        if state:
            raise ValueError(f"{type(self).__name__} learns nothing, so the state {sorted(state)} is not its own")

    def explain(self) -> dict:
        """{"probabilities": C lists of S} of the last decision; {} before the first."""
        return {} if self._probabilities is None else {"probabilities": self._probabilities.tolist()}

    def _normalised(self, weights: np.ndarray) -> np.ndarray:
        wanted = (len(self.labels), len(self.styles))
        if weights.shape != wanted or not np.isfinite(weights).all() or (weights < 0).any():
            raise ValueError(f"weights of cells must be finite, not negative and of shape {wanted}: they are {weights}")
        total = weights.sum()
        return weights / total if total > 0 else np.full(wanted, 1 / weights.size)


def typical_where_unheld(values: np.ndarray, observation: Observation) -> np.ndarray:
    """(C, S) values in which a label that validation does not hold has the mean of those that it holds."""
    held = np.asarray(observation["label_held"]) > 0.5
    values = np.array(values, np.float64)
    if held.any():
        values[~held] = values[held].mean()
    return values
