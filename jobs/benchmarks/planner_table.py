"""What the trials of planners came to: a row's figures, what follows from them, and the table as text."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from jobs.benchmarks.planner_rows import RANDOM, REFERENCES, STATIC, THINKER
from resp_agent.metrics.paired import paired
from resp_agent.published import SOURCE, published
from resp_agent.report.planners_figure import PlannerRecord
from resp_agent.report.terminal import text_table, wrapped
from resp_agent.report.words import MISSING, brief, score

MARGIN = 0.02
"""How far below another planner's score a planner's may lie and still count as no worse."""


@dataclass(frozen=True)
class Difference:
    """A mean difference of two rows, seed by seed, and its 95 % interval (Student's t, paired)."""

    mean: float
    low: float
    high: float
    seeds: int

    @property
    def separated(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0

    def told(self) -> str:
        """As text, with what cannot be said."""
        return f"{self.mean:+.3f}, 95 % {self.low:+.3f} to {self.high:+.3f}" + (
            "" if self.separated else ", not separated"
        )


@dataclass(frozen=True)
class PlannerFigures:
    """A row of the table."""

    name: str
    results: dict[int, dict] = field(repr=False)
    """Seed -> a trial's result."""
    to_random: Difference | None = None
    thinkers: Difference | None = None
    """Of the thinker over this row."""
    share: float | None = None
    """Of the gain over `none` of the best policy with the oracle, over the same seeds."""

    def mean(self, what: str = "macro_f1") -> float:
        """Over seeds; NaN where none is known."""
        known = [one[what] for one in self.results.values() if one.get(what) is not None]
        return float(np.mean(known)) if known else math.nan

    def deviation(self, what: str = "macro_f1") -> float:
        """Over seeds; NaN for less than two."""
        known = [one[what] for one in self.results.values() if one.get(what) is not None]
        return float(np.std(known, ddof=1)) if len(known) > 1 else math.nan

    def gain_by_budget(self, shares: Sequence[float] = (0.25, 0.5, 0.75)) -> list[float]:
        """Share of the whole gain on validation that was there when so much of the budget was spent; NaN without."""
        curves = []
        for one in self.results.values():
            if one["clips"] and one["valid"][-1] > one["valid"][0]:
                spent = np.array([0, *one["spent"]]) / one["clips"]
                gained = (np.array(one["valid"]) - one["valid"][0]) / (one["valid"][-1] - one["valid"][0])
                curves.append(np.interp(shares, spent, gained))
        return np.mean(curves, axis=0).tolist() if curves else [math.nan] * len(shares)


Results = dict[str, dict[int, dict]]
"""Row -> seed -> a trial's result."""


def figures(results: Results, oracle: Results) -> list[PlannerFigures]:
    """The rows' figures, each over the seeds for which it and what it is compared with are done.

    Args:
        results: of this study.
        oracle: of the same study with the oracle as generator, as far as it is done.
    """
    rows = []
    for name, own in results.items():
        to_random = difference(own, results.get(RANDOM, {})) if name != RANDOM else None
        thinkers = difference(results.get(THINKER, {}), own) if name != THINKER else None
        rows.append(PlannerFigures(name, own, to_random, thinkers, _share(own, results.get("none", {}), oracle)))
    return rows


def difference(one: dict[int, dict], other: dict[int, dict]) -> Difference | None:
    """Of test macro-F1; None where less than two seeds are shared."""
    seeds = sorted(set(one) & set(other))
    if len(seeds) < 2:
        return None
    mean, (low, high) = paired(np.array([one[seed]["macro_f1"] - other[seed]["macro_f1"] for seed in seeds]))
    return Difference(mean, low, high, len(seeds))


def _share(own: dict[int, dict], none: dict[int, dict], oracle: Results) -> float | None:
    played = {name: done for name, done in oracle.items() if name not in REFERENCES and "/" not in name}
    seeds = sorted(set(own) & set(none))
    best = [done for done in played.values() if seeds and set(seeds) <= set(done)]
    if not best:
        return None

    def mean(results: dict[int, dict]) -> float:
        return float(np.mean([results[seed]["macro_f1"] for seed in seeds]))

    most = max(map(mean, best)) - mean(none)
    return (mean(own) - mean(none)) / most if most > 0 else None


def verdict(rows: Sequence[PlannerFigures]) -> list[str]:
    """What the figures say of the thinker, in sentences."""
    by_name = {row.name: row for row in rows if row.results}
    thinker, told = by_name.get(THINKER), []
    if thinker is None:
        return ["the thinker was not run: nothing can be said of it"]
    best = max((row for row in rows if row.results and "/" not in row.name), key=PlannerFigures.mean)
    told.append(f"first by mean: {best.name} ({best.mean():.3f}); thinker {thinker.mean():.3f}")
    if thinker.to_random:
        told.append(f"thinker over random: {thinker.to_random.told()}")
    for name in STATIC:
        gap = by_name[name].thinkers if name in by_name else None
        if gap:
            no_worse = "no worse" if gap.low > -MARGIN else f"not shown to be no worse by {MARGIN}"
            told.append(f"thinker over {name}: {gap.told()}; {no_worse}")
    for name in REFERENCES:
        behind = [row.name for row in rows if name in by_name and row.results and row.name not in REFERENCES
                  and row.mean() <= by_name[name].mean()]  # fmt: skip
        if name in by_name:
            told.append(f"rows that do not beat {name}: {', '.join(behind) or 'none'}")
    for name in (THINKER, RANDOM):
        drop = difference(by_name[name].results, by_name[f"{name}/training-cells"].results) if (
            {name, f"{name}/training-cells"} <= set(by_name)) else None  # fmt: skip
        if drop:
            told.append(f"what {name} loses where validation holds training's cells only: {drop.told()}")
    return told


def printed(title: str, rows: Sequence[PlannerFigures], sentences: Sequence[str], notes: Sequence[str]) -> str:
    """The table beside the paper's, what follows from it, how the gain grew, and notes."""
    paper = {line["planner"]: line for line in published("planners")}
    head = ("planner", "macro-F1", "paper", "tail-F1", "paper", "accuracy", "over random", "95 %", "of oracle", "seeds")
    lines, how = [], []
    for row in rows:
        line = paper.get(row.name, {})
        gap = row.to_random
        lines.append(
            (
                row.name,
                _with_deviation(row.mean(), row.deviation()),
                brief(line.get("macro_f1")),
                brief(row.mean("tail_f1")),
                brief(line.get("tail_f1")),
                brief(row.mean("accuracy")),
                brief(gap.mean, sign=True) if gap else MISSING,
                f"{brief(gap.low, sign=True)} to {brief(gap.high, sign=True)}" if gap else MISSING,
                f"{row.share:.0%}" if row.share is not None else MISSING,
                str(len(row.results)),
            )
        )
        if row.results and row.name not in REFERENCES:
            how.append((row.name, *(_percent(share) for share in row.gain_by_budget()), score(row.mean("nearest"), 2),
                        score(row.mean("diversity"), 2), _percent(row.mean("memorised"), 1)))  # fmt: skip
    part = ("planner", "at 25 %", "at 50 %", "at 75 %", "nearest real", "diversity", "memorised")
    sections = [
        "\n".join([title, *text_table(head, lines, texts=1)]),
        "\n".join(["What follows", *(wrapped(sentence) for sentence in sentences)]),
        "\n".join(["Share of the gain on validation by budget spent; clips against real recordings",
                   *text_table(part, how, texts=1)]),
        "\n".join(["Notes", *(wrapped(note) for note in notes), wrapped(f"paper: {SOURCE}")]),
    ]  # fmt: skip
    return "\n\n".join(sections) + "\n"


def as_plain(rows: Sequence[PlannerFigures], sentences: Sequence[str], notes: Sequence[str]) -> dict:
    """Everything that the text says and each seed's results, for machines; what is not known is None."""
    return {"rows": [_row(row) for row in rows], "verdict": list(sentences), "notes": list(notes), "paper": SOURCE}


def drawn(row: PlannerFigures) -> PlannerRecord:
    """The row as it is drawn."""
    gap = row.to_random
    scores = tuple(one["macro_f1"] for one in row.results.values())
    return PlannerRecord(row.name, scores, gap and (gap.mean, gap.low, gap.high), row.name == THINKER)


def _row(row: PlannerFigures) -> dict:
    known: Callable[[float], float | None] = lambda value: value if math.isfinite(value) else None  # noqa: E731
    gap, over = row.to_random, row.thinkers
    return {
        "policy": row.name,
        "macro_f1_mean": known(row.mean()),
        "macro_f1_sd": known(row.deviation()),
        "tail_f1_mean": known(row.mean("tail_f1")),
        "accuracy_mean": known(row.mean("accuracy")),
        "difference_to_random": gap and gap.mean,
        "ci95": gap and [gap.low, gap.high],
        "thinker_over": over and {"mean": over.mean, "ci95": [over.low, over.high]},
        "share_of_oracle": row.share,
        "gain_by_budget": [known(share) for share in row.gain_by_budget()],
        "nearest": known(row.mean("nearest")),
        "diversity": known(row.mean("diversity")),
        "memorised": known(row.mean("memorised")),
        "seeds": {str(seed): row.results[seed] for seed in sorted(row.results)},
    }


def _with_deviation(mean: float, deviation: float) -> str:
    return brief(mean) + (f" ± {brief(deviation)}" if math.isfinite(deviation) else "")


def _percent(share: float, digits: int = 0) -> str:
    return f"{share:.{digits}%}" if math.isfinite(share) else MISSING
