"""Where the diagnoser was unsure before the first round, for all rounds."""

import numpy as np

from resp_agent.curriculum.observation import layout
from resp_agent.curriculum.policies.base import CellPolicy, Observation


class StaticUncertaintyPolicy(CellPolicy):
    """Cells with the probability of the mean entropy of their predictions at the first decision, which stays.

    The row "static uncertainty" of the paper's table of planners (arXiv 2602.15909).
    """

    def __init__(
        self, labels: tuple[str, ...], styles: tuple[str, ...], requests_per_round: int, hardness_levels: int = 1
    ):
        super().__init__(labels, styles, requests_per_round, hardness_levels)
        self._first: np.ndarray | None = None

    def weights(self, observation: Observation) -> np.ndarray:
        """(C, S): entropy of round 0, 0 to 1."""
        if self._first is None:
            self._first = np.asarray(observation["cell_entropy"], np.float64)
        return self._first

    def state_dict(self) -> dict:
        """{"first": C lists of S} once there was a decision."""
        return {} if self._first is None else {"first": self._first.tolist()}

    def load_state_dict(self, state: dict) -> None:
        """Goes on with the uncertainty of a round 0.

        Raises:
            ValueError: the state belongs to another policy.
        """
        if set(state) - {"first"}:
            raise ValueError(f"{type(self).__name__} keeps its first uncertainty only: {sorted(state)} is not its own")
        if not state:
            self._first = None
            return
        first = np.asarray(state["first"], np.float64)
        shape = layout(len(self.labels), len(self.styles))["cell_entropy"][0]
        if first.shape != shape:
            raise ValueError(f"the first uncertainty must be of shape {shape}: it is of {first.shape}")
        self._first = first
