"""Assessments drawn at random, for comparison with slower ways to score."""

import numpy as np

from resp_agent.curriculum.assessment import Assessment


def assessment(
    seed: int, count: int = 60, labels: int = 5, styles: int = 3, unheld: tuple[int, ...] = ()
) -> Assessment:
    """`count` recordings with predictions that are right more often than not; labels of `unheld` do not occur."""
    rng = np.random.default_rng(seed)
    held = [label for label in range(labels) if label not in unheld]
    truth = rng.choice(held, count)
    logits = rng.normal(0, 1, (count, labels))
    logits[np.arange(count), truth] += 1
    probabilities = np.exp(logits)
    return Assessment(
        split="valid",
        labels=tuple(f"label {index}" for index in range(labels)),
        styles=tuple(f"style {index}" for index in range(styles)),
        ids=tuple(f"recording {index}" for index in range(count)),
        truth=truth,
        style=rng.integers(styles, size=count),
        probabilities=probabilities / probabilities.sum(axis=1, keepdims=True),
        temperature=float(rng.uniform(0.5, 2)),
        train_counts=tuple(rng.integers(9, size=labels * styles).tolist()),
        losses=tuple(rng.random(4).tolist()),
    )
