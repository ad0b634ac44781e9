"""Bandits: what learns within an episode which cells are worth their clips, from the credit of its own requests."""

from abc import ABC, abstractmethod

import numpy as np

from resp_agent.curriculum.policies.base import Observation, Transition
from resp_agent.curriculum.policies.features import FEATURES, LearningProgress, cell_features, matrix
from resp_agent.settings.checks import refuse


class LinearBandit(ABC):
    """Credit of a clip as a linear function of what is known of its cell, learned by ridge regression.

    Letters: A = C S arms (cells), K what is known of each. Each request of a round is an observation: its credit over
    its clips, in units of `scale`. What was learned fades by `memory` a round, since the diagnoser moves on. A kind of
    it says what is known (`_contexts`) and how an arm's value is drawn or bounded (`_values`); the best arms that
    differ are asked for.
    """

    def __init__(
        self,
        labels: tuple[str, ...],
        styles: tuple[str, ...],
        requests_per_round: int,
        hardness_levels: int = 1,
        *,
        ridge: float = 1.0,
        memory: float = 0.95,
        scale: float = 0.002,
    ):
        self.labels, self.styles = tuple(labels), tuple(styles)
        self.requests_per_round, self.hardness_levels = requests_per_round, hardness_levels
        refuse(not ridge > 0, f"a ridge of {ridge} leaves what was never tried undetermined: give one above 0")
        refuse(not 0 < memory <= 1, f"a memory of {memory} is outside 0 (excluded) to 1, which forgets nothing")
        refuse(not scale > 0, f"a scale of {scale} is not above 0: it is the credit of a good clip")
        self.ridge, self.memory, self.scale = float(ridge), float(memory), float(scale)
        known = self._known
        self._precision, self._moment = np.zeros((known, known)), np.zeros(known)
        self._progress = LearningProgress((len(self.labels), len(self.styles)))
        self._asked: np.ndarray | None = None
        self._credits: list[dict] = []
        self._why: dict = {}

    @property
    @abstractmethod
    def _known(self) -> int:
        """K."""

    @abstractmethod
    def _contexts(self, observation: Observation) -> np.ndarray:
        """(A, K) what is known of every cell."""

    @abstractmethod
    def _values(
        self, contexts: np.ndarray, mean: np.ndarray, covariance: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """(A,) by which cells are chosen; `mean` (K,) and `covariance` (K, K) are of the weights' posterior."""

    def decide(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        """See `Policy.decide`."""
        contexts = self._contexts(observation)
        covariance = np.linalg.inv(self._precision + self.ridge * np.eye(self._known))
        mean = covariance @ self._moment
        values = self._values(contexts, mean, covariance, rng)
        # Equal arms come in any order.
        order = np.lexsort((rng.random(len(values)), -values))
        cells = np.resize(order, self.requests_per_round)
        shape = len(self.labels), len(self.styles)
        factors = [*np.unravel_index(cells, shape)]
        if self.hardness_levels > 1:
            factors.append(rng.integers(self.hardness_levels, size=self.requests_per_round))
        self._asked = contexts[cells]
        spread = np.sqrt(np.einsum("ak,kl,al->a", contexts, covariance, contexts))
        self._why = {
            "values": (self.scale * contexts @ mean).reshape(shape).tolist(),
            "uncertainty": (self.scale * spread).reshape(shape).tolist(),
            "credits": self._credits,
        }
        return np.stack(factors, axis=1).astype(np.int64).ravel()

    def update(self, transition: Transition) -> None:
        """Learns from the credit of each request of the round (`info["credits"]`)."""
        self._progress.update(transition.observation, transition.next_observation)
        requests, credits = transition.info.get("requests", []), transition.info.get("credits", [])
        self._credits = [
            {"label": request["label"], "style": request["style"], "credit": credit}
            for request, credit in zip(requests, credits, strict=True)
        ]
        if not requests or self._asked is None:
            return
        # Requests that got no clip were dropped from the end.
        contexts = self._asked[: len(requests)]
        paid = np.array([credit / request["count"] for request, credit in zip(requests, credits, strict=True)])
        self._precision = self.memory * self._precision + contexts.T @ contexts
        self._moment = self.memory * self._moment + contexts.T @ (paid / self.scale)

    def state_dict(self) -> dict:
        """What was learned: precision (K, K), moment (K,), learning progress (C, S) and the last credits."""
        return {
            "precision": self._precision.tolist(),
            "moment": self._moment.tolist(),
            "progress": self._progress.state(),
            "credits": self._credits,
        }

    def load_state_dict(self, state: dict) -> None:
        """Goes on from a `state_dict`.

        Raises:
            ValueError: the state belongs to another policy or to other labels and styles.
        """
        if set(state) != {"precision", "moment", "progress", "credits"}:
            raise ValueError(f"the state {sorted(state)} is not one of {type(self).__name__}")
        precision, moment = np.asarray(state["precision"], np.float64), np.asarray(state["moment"], np.float64)
        if precision.shape != (self._known, self._known) or moment.shape != (self._known,):
            raise ValueError(f"the state of {type(self).__name__} is of {len(moment)} numbers: it needs {self._known}")
        self._precision, self._moment = precision, moment
        self._progress.load(state["progress"])
        self._credits = state["credits"]

    def explain(self) -> dict:
        """Each cell's estimated credit of a clip, how unsure it is, and the credits before; {} before the first."""
        return self._why


class ThompsonPolicy(LinearBandit):
    """Draws weights from their posterior and takes the cells that are best under the draw (Thompson 1933; Agrawal and
    Goyal 2013).

    What is known of a cell: its label, its style, and itself, so that cells never tried are judged by those that share
    their label or style. A bias carries what every clip is worth.
    """

    @property
    def _known(self) -> int:
        labels, styles = len(self.labels), len(self.styles)
        return 1 + labels + styles + labels * styles

    def _contexts(self, observation: Observation) -> np.ndarray:
        labels, styles = len(self.labels), len(self.styles)
        label, style = np.unravel_index(np.arange(labels * styles), (labels, styles))
        return np.hstack([np.ones((len(label), 1)), np.eye(labels)[label], np.eye(styles)[style], np.eye(len(label))])

    def _values(self, contexts, mean, covariance, rng) -> np.ndarray:
        return contexts @ rng.multivariate_normal(mean, covariance, method="cholesky")


class LinUcbPolicy(LinearBandit):
    """Takes the cells whose credit could be highest: mean + alpha x standard deviation (LinUCB, Li et al. 2010).

    What is known of a cell: the thinker's features of it and a bias, the same for all cells, so that it learns what
    makes a cell worth its clips.

    Raises:
        UserError: alpha is below 0.
    """

    def __init__(
        self,
        labels: tuple[str, ...],
        styles: tuple[str, ...],
        requests_per_round: int,
        hardness_levels: int = 1,
        *,
        ridge: float = 1.0,
        memory: float = 0.95,
        scale: float = 0.002,
        alpha: float = 0.5,
    ):
        super().__init__(labels, styles, requests_per_round, hardness_levels, ridge=ridge, memory=memory, scale=scale)
        refuse(not alpha >= 0, f"an alpha of {alpha} is below 0: 0 explores nothing")
        self.alpha = float(alpha)

    @property
    def _known(self) -> int:
        return 1 + len(FEATURES)

    def _contexts(self, observation: Observation) -> np.ndarray:
        features = matrix(cell_features(observation, self._progress.values)).reshape(-1, len(FEATURES))
        return np.hstack([np.ones((len(features), 1)), features])

    def _values(self, contexts, mean, covariance, rng) -> np.ndarray:
        spread = np.sqrt(np.einsum("ak,kl,al->a", contexts, covariance, contexts))
        return contexts @ mean + self.alpha * spread
