"""A Lab without models: clips make their cell better, weak cells most, and everything is a function of the seed."""

import json
import math

import numpy as np

from resp_agent.curriculum.assessment import Assessment
from resp_agent.curriculum.request import Receipt, Request, Shard
from resp_agent.randomness import stream

TRAIN_COUNTS = (200, 60, 20, 8)


class FakeLab:
    """Four labels by default, three styles; skill of a cell grows from a base as 1 - (1 - base) exp(-clips / 12)."""

    def __init__(self, labels: int = 4, styles: int = 3, unheld: tuple[int, ...] = (), per_cell: int = 5):
        self.labels = tuple(f"label {c}" for c in range(labels))
        self.styles = tuple(f"style {s}" for s in range(styles))
        self.unheld = unheld
        self.per_cell = per_cell
        self.closed = False
        self.asked: list[list[Request]] = []
        self._seed, self._round, self._clips = 0, 0, np.zeros((labels, styles), int)

    def reset(self, seed: int) -> Assessment:
        self._seed, self._round, self._clips = seed, 0, np.zeros((len(self.labels), len(self.styles)), int)
        return self._assess()

    def synthesize(self, requests: list[Request]) -> Receipt:
        self.asked.append(list(requests))
        for request in requests:
            self._clips[self.labels.index(request.label), self.styles.index(request.style)] += request.count
        return Receipt(
            tuple(
                Shard(
                    path=f"{request.name('fake')}.parquet",
                    clip_ids=tuple(request.clip_id("fake", index) for index in range(request.count)),
                    seconds=3.0 * request.count,
                    cost_s=0.1,
                )
                for request in requests
            )
        )

    def learn(self) -> Assessment:
        self._round += 1
        return self._assess()

    def save(self) -> dict:
        return {"seed": self._seed, "round": self._round, "clips": self._clips.tolist()}

    def restore(self, state: dict) -> Assessment:
        state = json.loads(json.dumps(state))
        self._seed, self._round, self._clips = state["seed"], state["round"], np.array(state["clips"])
        return self._assess()

    def close(self) -> None:
        self.closed = True

    def skill(self) -> np.ndarray:
        """(C, S) how well each cell is known, 0 to 1."""
        labels, styles = self._clips.shape
        base = 0.8 - 0.6 * np.arange(labels)[:, None] / labels - 0.15 * (np.arange(styles)[None, :] > 0)
        return 1 - (1 - base) * np.exp(-self._clips / 12)

    def _assess(self) -> Assessment:
        held = [c for c in range(len(self.labels)) if c not in self.unheld]
        cells = [(c, s) for c in held for s in range(len(self.styles)) for _ in range(self.per_cell)]
        truth, style = np.array(cells).T
        draws = stream(self._seed % 1000 if self._round else 0, "fake", self._round)
        logits = draws.normal(0, 0.3, (len(cells), len(self.labels)))
        # The i-th recording of a cell is the i-th hardest: with skill, ever more of them come out right.
        hardness = np.tile(np.arange(self.per_cell) / self.per_cell, len(cells) // self.per_cell)
        logits[np.arange(len(cells)), truth] += 6 * (self.skill()[truth, style] - hardness)
        probabilities = np.exp(logits)
        counts = np.zeros((len(self.labels), len(self.styles)), int)
        for label in range(len(self.labels)):
            counts[label, 0] = TRAIN_COUNTS[min(label, len(TRAIN_COUNTS) - 1)]
        return Assessment(
            split="valid",
            labels=self.labels,
            styles=self.styles,
            ids=tuple(f"recording {index}" for index in range(len(cells))),
            truth=truth,
            style=style,
            probabilities=probabilities / probabilities.sum(axis=1, keepdims=True),
            train_counts=tuple(counts.ravel().tolist()),
            losses=(math.exp(-self._round),),
        )


def fake_lab(settings, workspace: str, **options) -> FakeLab:
    """The factory: `gymnasium.make("envs:RespCurriculum-v0", lab="tests.fakes:fake_lab")`."""
    return FakeLab(**options)


not_a_factory = "a string"
