"""More of what the diagnoser does badly."""

import numpy as np

from resp_agent.curriculum.policies.base import CellPolicy, Observation, typical_where_unheld


class WeaknessPolicy(CellPolicy):
    """Cells with probability proportional to (1 - F1)^2 on validation, F1 one-vs-rest within the style.

    Of a label that validation does not hold nothing is known, so the mean weight of the held labels' cells stands in:
    it is asked for neither more nor less often than the average. Its F1 is 0 by convention, which would otherwise
    draw most of the budget to where no score can move. In a style where validation holds none of a held label, the
    label's own F1 stands in (see `Assessment.by_cell`).
    """

    def weights(self, observation: Observation) -> np.ndarray:
        """(C, S): (1 - F1)^2; the mean over held labels for labels that validation does not hold."""
        weakness = (1 - np.asarray(observation["cell_f1"], np.float64)) ** 2
        return typical_where_unheld(weakness, observation)
