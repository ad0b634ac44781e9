"""Every cell is as probable as any other."""

import numpy as np

from resp_agent.curriculum.policies.base import CellPolicy, Observation


class RandomPolicy(CellPolicy):
    """Cells of label x style, uniformly, whatever the diagnoser scored."""

    def weights(self, observation: Observation) -> np.ndarray:
        """(C, S) ones."""
        return np.ones((len(self.labels), len(self.styles)))
