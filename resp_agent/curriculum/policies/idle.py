"""What fills a policy's place in a run without synthesis."""

import numpy as np

from resp_agent.curriculum.policies.base import Observation


class IdlePolicy:
    """Names the first cell over and over: the environment ignores it where nothing is synthesized. Draws nothing."""

    def __init__(
        self, labels: tuple[str, ...], styles: tuple[str, ...], requests_per_round: int, hardness_levels: int = 1
    ):
        self._action = np.zeros((3 if hardness_levels > 1 else 2) * requests_per_round, np.int64)

    def decide(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        """Zeros of int64, an action's shape."""
        return self._action.copy()

    def update(self, transition: object) -> None:
        """Learns nothing."""

    def state_dict(self) -> dict:
        """{}: there is nothing to keep."""
        return {}

    def load_state_dict(self, state: dict) -> None:
        """Has nothing to take."""

    def explain(self) -> dict:
        """{}: nothing was chosen."""
        return {}
