"""More of what the diagnoser is least sure to get right."""

import numpy as np

from resp_agent.curriculum.policies.base import CellPolicy, Observation, typical_where_unheld


class HardCasePolicy(CellPolicy):
    """Cells with probability proportional to (1 - confidence)^2, confidence being the mean probability of the true
    label on validation.

    The row "hard case" of the paper's table of planners (arXiv 2602.15909).
    """

    def weights(self, observation: Observation) -> np.ndarray:
        """(C, S): (1 - confidence)^2; the mean over held labels for labels that validation does not hold."""
        doubt = (1 - np.asarray(observation["cell_confidence"], np.float64)) ** 2
        return typical_where_unheld(doubt, observation)
