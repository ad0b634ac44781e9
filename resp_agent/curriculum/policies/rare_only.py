"""More of what there is little of."""

import numpy as np

from resp_agent.curriculum.observation import unscaled
from resp_agent.curriculum.policies.base import CellPolicy, Observation


class RareOnlyPolicy(CellPolicy):
    """Labels of the rarer half, with probability in inverse proportion to their real training counts; any style.

    The row "rare only" of the paper's table of planners (arXiv 2602.15909).
    """

    def weights(self, observation: Observation) -> np.ndarray:
        """(C, S): 1 / count of a label of the rarer half, for every style; 0 for the others."""
        return np.repeat(rarest(observation)[:, None], len(self.styles), axis=1)


def rarest(observation: Observation) -> np.ndarray:
    """(C,) 1 / real training count of the labels of the rarer half (of an odd number, the larger half), else 0."""
    counts = unscaled(observation["real_count"]).sum(axis=1)
    rare = np.argsort(counts, kind="stable")[: (len(counts) + 1) // 2]
    weights = np.zeros(len(counts))
    weights[rare] = 1 / np.maximum(counts[rare], 1)
    return weights
