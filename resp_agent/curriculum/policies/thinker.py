"""Thinker-A2CA: a softmax over cells of what may be said for each of them."""

import numpy as np
from scipy.special import log_softmax

from resp_agent.curriculum.policies.base import Observation, Transition
from resp_agent.curriculum.policies.features import FEATURES, LearningProgress, cell_features
from resp_agent.settings.checks import refuse


class ThinkerPolicy:
    """Cells by a softmax of weighted features, drawn without replacement, mixed with cells drawn evenly.

    The active adversarial curriculum agent of Resp-Agent (arXiv 2602.15909), as a distribution with parameters that a
    search can move. The score of a cell is the sum of weight x feature (see `features.cell_features`); its probability
    (1 - exploration) softmax(score / temperature) + exploration / (C S). A round's requests are of different cells
    as long as there are any: drawn one after the other from what is left.

    Raises:
        UserError: a parameter is out of its bounds.
    """

    def __init__(
        self,
        labels: tuple[str, ...],
        styles: tuple[str, ...],
        requests_per_round: int,
        hardness_levels: int = 1,
        *,
        weakness: float = 1.0,
        uncertainty: float = 0.5,
        rarity: float = 0.5,
        confusion: float = 0.0,
        progress: float = 0.0,
        style_gap: float = 0.0,
        novelty: float = 0.5,
        temperature: float = 0.05,
        exploration: float = 0.0,
        hardness: float = 0.0,
    ):
        self.labels, self.styles = tuple(labels), tuple(styles)
        self.requests_per_round, self.hardness_levels = requests_per_round, hardness_levels
        given = (weakness, uncertainty, rarity, confusion, progress, style_gap, novelty)
        self.feature_weights = dict(zip(FEATURES, map(float, given), strict=True))
        refuse(not temperature > 0, f"the thinker's temperature {temperature} is not above 0: near 0 it takes the best")
        refuse(not 0 <= exploration <= 1, f"the thinker's exploration {exploration} is outside 0 to 1")
        refuse(not 0 <= hardness <= 1, f"the thinker's hardness {hardness} is outside 0 to 1")
        self.temperature, self.exploration, self.hardness = float(temperature), float(exploration), float(hardness)
        self._progress = LearningProgress((len(self.labels), len(self.styles)))
        self._why: dict = {}

    def decide(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        """See `Policy.decide`."""
        features = cell_features(observation, self._progress.values)
        score = sum(weight * features[name] for name, weight in self.feature_weights.items())
        # In logarithms, or cold cells would all be 0 and drawn in any order once the hot ones are spent.
        with np.errstate(divide="ignore"):
            mixed = np.log([1 - self.exploration, self.exploration / score.size])
        logs = np.logaddexp(mixed[0] + log_softmax(score / self.temperature), mixed[1])
        cells = _without_replacement(logs.ravel(), self.requests_per_round, rng)
        factors = [*np.unravel_index(cells, score.shape)]
        if self.hardness_levels > 1:
            factors.append(np.full(len(cells), round(self.hardness * (self.hardness_levels - 1))))
        self._why = {
            "probabilities": np.exp(logs).tolist(),
            "weights": dict(self.feature_weights),
            "features": {name: values.tolist() for name, values in features.items()},
            "temperature": self.temperature,
            "exploration": self.exploration,
        }
        return np.stack(factors, axis=1).astype(np.int64).ravel()

    def update(self, transition: Transition) -> None:
        """Notes what the diagnoser learned in the round."""
        self._progress.update(transition.observation, transition.next_observation)

    def state_dict(self) -> dict:
        """{"progress": C lists of S}."""
        return {"progress": self._progress.state()}

    def load_state_dict(self, state: dict) -> None:
        """Goes on from a `state_dict`.

        Raises:
            ValueError: the state belongs to another policy.
        """
        if set(state) != {"progress"}:
            raise ValueError(f"{type(self).__name__} keeps learning progress only: {sorted(state)} is not its own")
        self._progress.load(state["progress"])

    def explain(self) -> dict:
        """Probabilities, weights and features of the last decision; {} before the first."""
        return self._why


def _without_replacement(logs: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count,) indices of (N,) log-probabilities, all different as long as there are different ones, drawn in turn from
    what is left.

    By the largest of log p + Gumbel noise, which is such a draw (Yellott 1977).
    """
    chosen: list[int] = []
    while len(chosen) < count:
        keys = logs + rng.gumbel(size=len(logs))
        chosen += np.argsort(-keys, kind="stable")[: count - len(chosen)].tolist()
    return np.array(chosen)
