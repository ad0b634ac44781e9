"""More of the style in which the diagnoser scores worst, and of its rare labels only."""

import numpy as np

from resp_agent.curriculum.policies.base import CellPolicy, Observation
from resp_agent.curriculum.policies.rare_only import rarest


class HardDomainPolicy(CellPolicy):
    """The style with the lowest macro-F1 on validation; any label.

    The row "hard domain" of the paper's table of planners (arXiv 2602.15909).
    """

    def weights(self, observation: Observation) -> np.ndarray:
        """(C, S): 1 in the worst style, 0 in the others."""
        return np.repeat(worst_style(observation)[None, :], len(self.labels), axis=0)


class RareHardDomainPolicy(CellPolicy):
    """The style with the lowest macro-F1, and there the labels of the rarer half as `rare-only` draws them.

    The row "rare x hard domain" of the paper's table of planners (arXiv 2602.15909).
    """

    def weights(self, observation: Observation) -> np.ndarray:
        """(C, S): the product of both policies' weights."""
        return np.outer(rarest(observation), worst_style(observation))


def style_f1(observation: Observation) -> np.ndarray:
    """(S,) macro-F1 within each style over the labels that validation holds in it; NaN for a style that it lacks."""
    held = np.asarray(observation["cell_share"]) > 0
    f1 = np.where(held, np.asarray(observation["cell_f1"], np.float64), 0.0)
    counts = held.sum(axis=0)
    return np.where(counts > 0, f1.sum(axis=0) / np.maximum(counts, 1), np.nan)


def worst_style(observation: Observation) -> np.ndarray:
    """(S,) 1 for the styles of the lowest macro-F1 (several where they are equal), else 0."""
    scores = style_f1(observation)
    return (scores == np.nanmin(scores)).astype(np.float64) if np.isfinite(scores).any() else np.ones(len(scores))
