"""More of what there is much of: labels as often as the real training split holds them."""

import numpy as np

from resp_agent.curriculum.observation import unscaled
from resp_agent.curriculum.policies.base import CellPolicy, Observation


class ClassPriorPolicy(CellPolicy):
    """Labels with the probability of their real training counts, styles uniformly within a label.

    The row "class prior" of the paper's table of planners (arXiv 2602.15909).
    """

    def weights(self, observation: Observation) -> np.ndarray:
        """(C, S): the real training count of the label, for every style."""
        counts = unscaled(observation["real_count"]).sum(axis=1)
        return np.repeat(counts[:, None], len(self.styles), axis=1)
