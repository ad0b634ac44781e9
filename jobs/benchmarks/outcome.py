"""What a table's trials came to: means and deviations over seeds, and where they contradict what was published."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from jobs.benchmarks.rows import Row

METRICS = {"macro_f1": "macro-F1", "accuracy": "accuracy"}
"""What is compared with the paper, the score that counts first."""


@dataclass(frozen=True)
class Outcome:
    """A row and what its trials found."""

    row: Row
    results: dict[int, dict] = field(default_factory=dict)
    """Seed -> result of the trial (see `trial.run_trial`)."""
    failed: dict[int, str] = field(default_factory=dict)
    """Seed -> why there is no result."""
    rate: float | None = None
    """The learning rate that was best on validation."""

    def values(self, metric: str) -> np.ndarray:
        """(seeds,) of a metric, by rising seed; NaN where a trial has none."""
        return np.array([self.results[seed][metric] for seed in sorted(self.results)], float)

    def mean(self, metric: str) -> float:
        """Over seeds; NaN without results."""
        values = self.values(metric)
        return float(values.mean()) if len(values) else float("nan")

    def deviation(self, metric: str) -> float:
        """Standard deviation over seeds (of a sample, n - 1); NaN for fewer than two."""
        values = self.values(metric)
        return float(values.std(ddof=1)) if len(values) > 1 else float("nan")


def choose_rate(row: Row, by_rate: dict[float, dict[int, dict]]) -> Outcome:
    """A row at the learning rate that is best on validation, by mean macro-F1 over seeds; a tie goes to the first.

    Rates at which fewer seeds could be trained stand back.

    Args:
        by_rate: learning rate -> seed -> result, or `failed`.
    """
    best, best_rate, best_key = {}, None, None
    for rate, results in by_rate.items():
        done = {seed: result for seed, result in results.items() if "failed" not in result}
        score = np.mean([result["valid_macro_f1"] for result in done.values()]) if done else -1.0
        if best_key is None or (len(done), score) > best_key:
            best, best_rate, best_key = results, rate, (len(done), score)
    done = {seed: result for seed, result in best.items() if "failed" not in result}
    failed = {seed: result["failed"] for seed, result in best.items() if "failed" in result}
    return Outcome(row, done, failed, best_rate)


def verdict(outcomes: Sequence[Outcome]) -> list[str]:
    """Sentences: who is first here and in the paper, and each pair whose order contradicts the paper's.

    A pair contradicts where the difference of the two, seed by seed, is on the other side of 0 than the published one,
    and its mean exceeds its standard deviation over seeds. Rows that the paper has not, or that failed, stand back.
    """
    sentences = []
    compared = [outcome for outcome in outcomes if outcome.row.published and outcome.results]
    for metric, name in METRICS.items():
        ranked = [outcome for outcome in outcomes if outcome.results]
        if not ranked:
            continue
        first = max(ranked, key=lambda outcome: outcome.mean(metric))
        sentence = f"first here by {name}: {first.row.title} ({_spread(first, metric)})"
        paper = max(compared, key=lambda outcome: getattr(outcome.row.published, metric), default=None)
        if paper is not None and paper is not first:
            sentence += f"; first of these in the paper is {paper.row.title}, {_spread(paper, metric)} here"
        sentences.append(sentence)
        sentences += [
            sentence for pair in combinations(compared, 2) if (sentence := _contradiction(*pair, metric, name))
        ]
    for outcome in outcomes:
        reasons = sorted(set(outcome.failed.values()))
        if reasons:
            seeds = ", ".join(map(str, sorted(outcome.failed)))
            sentences.append(f"failed: {outcome.row.title}, seed {seeds}: {'; '.join(reasons)}")
    if not any("contradicts" in sentence for sentence in sentences) and len(compared) > 1:
        sentences.append("no pair of rows contradicts the order of the paper by more than its deviation over seeds")
    return sentences


def _contradiction(one: Outcome, other: Outcome, metric: str, name: str) -> str | None:
    published = [getattr(outcome.row.published, metric) for outcome in (one, other)]
    if published[0] == published[1]:
        return None
    better, worse = (one, other) if published[0] > published[1] else (other, one)
    seeds = sorted(set(better.results) & set(worse.results))
    if not seeds:
        return None
    gaps = np.array([worse.results[seed][metric] - better.results[seed][metric] for seed in seeds])
    deviation = gaps.std(ddof=1) if len(seeds) > 1 else 0.0
    if not gaps.mean() > deviation:
        return None
    spread = f"± {deviation:.3f} over {len(seeds)} seeds" if len(seeds) > 1 else "on one seed, of unknown spread"
    return (
        f"contradicts the paper ({name}): {worse.row.title} is above {better.row.title} by {gaps.mean():.3f} {spread}; "
        f"published {min(published):.3f} and {max(published):.3f}"
    )


def _spread(outcome: Outcome, metric: str) -> str:
    deviation = outcome.deviation(metric)
    return f"{outcome.mean(metric):.3f}" + (f" ± {deviation:.3f}" if np.isfinite(deviation) else "")
