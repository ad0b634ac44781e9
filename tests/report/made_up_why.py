"""Made-up accounts of why cells were chosen, as each kind of policy gives them."""

from dataclasses import replace

import numpy as np

from resp_agent.randomness import stream
from resp_agent.report.record import RunRecord

FEATURES = ("weakness", "uncertainty", "rarity", "confusion", "progress", "style_gap", "novelty")
WEIGHTS = dict(zip(FEATURES, (1.0, 0.3, 0.0, 0.4, 0.1, 0.2, 0.6), strict=True))
RATIONALE = (
    "Bronchiolitis and COPD are confused with each other on smartphones, and no smartphone recording of either is in "
    "training.\nSo most clips go there, and a few to asthma, whose F1 fell in the last round."
)


def with_why(record: RunRecord, kind: str, seed: int = 0) -> RunRecord:
    """The record with `why` in its rounds: of a `thinker`, a `bandit`, an `llm` or of `probabilities` alone."""
    lines = [{**record.rounds[0], "why": {}}]
    shape, credits = (len(record.labels), len(record.styles)), []
    for at, line in enumerate(record.rounds[1:], 1):
        rng = stream(seed, "made-up why", kind, at)
        if kind == "thinker":
            why = thought(record, at, rng)
        elif kind == "bandit":
            tried = 1 / np.sqrt(1 + rng.poisson(0.4 * at, shape))
            why = {
                "values": rng.normal(0.0005, 0.0006 + 0.0002 * at, shape).tolist(),
                "uncertainty": (0.002 * tried).tolist(),
                "credits": credits,
            }
            credits = [
                {"label": request["label"], "style": request["style"], "credit": float(rng.normal(0.003, 0.004))}
                for request in line["requests"]
            ]
        elif kind == "llm":
            why = {"decided_by": "llm", "rationale": RATIONALE, "why_not": []}
            if at % 4 == 3:
                why |= {"decided_by": "llm, second answer", "why_not": ["'bronchitus' is none of the labels"]}
            if at % 4 == 0:
                faults = ["the answer is not JSON", "the model said nothing within 30 s"]
                why = thought(record, at, rng) | {"decided_by": "thinker", "rationale": "", "why_not": faults}
        else:
            why = {"probabilities": thought(record, at, rng)["probabilities"]}
        lines.append({**line, "why": why})
    return replace(record, rounds=lines)


def thought(record: RunRecord, at: int, rng: np.random.Generator) -> dict:
    """What the thinker says of round `at`."""
    by_cell = record.valid[at - 1].by_cell()
    heard = np.reshape(record.valid[0].train_counts, by_cell["f1"].shape)
    features = {name: rng.uniform(0, 1, by_cell["f1"].shape) for name in FEATURES}
    features |= {"weakness": 1 - by_cell["f1"], "uncertainty": by_cell["entropy"], "novelty": 10 / (10 + heard)}
    score = sum(weight * features[name] for name, weight in WEIGHTS.items())
    heat = np.exp((score - score.max()) / 0.25)
    return {
        "probabilities": (0.9 * heat / heat.sum() + 0.1 / heat.size).tolist(),
        "weights": WEIGHTS,
        "features": {name: values.tolist() for name, values in features.items()},
        "temperature": 0.25,
        "exploration": 0.1,
    }
