"""Why a policy chose what it chose, read from a journal: what `explain()` said, checked, and shares made of it.

What a policy says may lack any key and hold anything: a user's own policy writes it, and a language model's words are
in it. What is not of the record's labels and styles, or is no number, counts as not said.
"""

from dataclasses import dataclass, field

import numpy as np

from resp_agent.report.words import finite, plainly

LONGEST = 2000
"""Characters of a rationale that are shown."""
MOST_FAULTS = 6
"""Reasons against answers that are shown for a round."""
_SHORT = 60
_NAMED, _ENOUGH = 3, 0.75
"""Features that a sentence names at most, and the share of the score at which it stops naming more."""

Cell = tuple[int, int]
"""Index of a label and of a style."""


@dataclass(frozen=True, eq=False)
class Reason:
    """What is known of a round's choice. Letters: C labels, S styles."""

    round: int
    asked: dict[Cell, int]
    """Clips asked for, by cell."""
    probabilities: np.ndarray | None = None
    """(C, S), NaN where not told."""
    values: np.ndarray | None = None
    """(C, S) credit of a clip as estimated before the round."""
    uncertainty: np.ndarray | None = None
    """(C, S) standard deviation of the estimates."""
    weights: dict[str, float] = field(default_factory=dict)
    """Feature -> weight, in the policy's order."""
    features: dict[str, np.ndarray] = field(default_factory=dict)
    """Feature -> (C, S), NaN where not told; those with a weight only."""
    temperature: float | None = None
    exploration: float | None = None
    credits: dict[Cell, float] = field(default_factory=dict)
    """What the round's requests were worth."""
    decided_by: str = ""
    rationale: str = ""
    why_not: tuple[str, ...] = ()

    @property
    def told(self) -> bool:
        """Whether the policy said anything of this round that can be shown."""
        grids = (self.probabilities, self.values)
        return any(grid is not None for grid in grids) or bool(
            self.weights or self.decided_by or self.rationale or self.why_not
        )

    @property
    def contributions(self) -> dict[str, np.ndarray]:
        """Feature -> (C, S) weight x value, 0 where the value is not told."""
        return {name: np.nan_to_num(self.weights[name] * values) for name, values in self.features.items()}

    @property
    def shares(self) -> dict[str, float]:
        """Feature -> its share of what spoke for the cells asked for, clips weighing alike; largest first.

        Sums to 1. {} where no feature spoke for them.
        """
        sums = {
            name: sum(count * part[cell] for cell, count in self.asked.items())
            for name, part in self.contributions.items()
        }
        total = sum(value for value in sums.values() if value > 0)
        ordered = sorted(sums.items(), key=lambda item: -item[1])
        return {name: value / total for name, value in ordered if value > 0}

    @property
    def main_features(self) -> dict[str, float]:
        """The first of `shares`: three at most, and no more than make up three quarters."""
        named: dict[str, float] = {}
        for name, share in self.shares.items():
            if len(named) == _NAMED or sum(named.values()) >= _ENOUGH:
                break
            named[name] = share
        return named

    def largest(self) -> Cell | None:
        """The cell that most clips were asked for; of several, the one that the policy thought most of."""
        worth = sum(self.contributions.values()) if self.features else self.values
        worth = self.probabilities if worth is None else worth
        return max(
            self.asked,
            key=lambda cell: (self.asked[cell], -np.inf if worth is None else np.nan_to_num(worth[cell], nan=-np.inf)),
            default=None,
        )


def read_reasons(rounds: list[dict], labels: tuple[str, ...], styles: tuple[str, ...]) -> list[Reason]:
    """One for each journal line.

    A round's credits are its own (`credits`, one a request), or what the policy said of them a round later.
    """
    read = []
    for line, later in zip(rounds, [*rounds[1:], {}], strict=True):
        said_later = _mapping(later.get("why")).get("credits")
        read.append(read_reason(line, labels, styles, said_later))
    return read


def read_reason(line: dict, labels: tuple[str, ...], styles: tuple[str, ...], said_later: object = None) -> Reason:
    """The reason of one journal line. `said_later`: `credits` of the next line's `why`."""
    shape = (len(labels), len(styles))
    why, requests = _mapping(line.get("why")), line.get("requests") or []
    weights = {str(name): float(value) for name, value in _mapping(why.get("weights")).items() if finite(value)}
    features = {str(name): _grid(values, shape) for name, values in _mapping(why.get("features")).items()}
    features = {name: values for name, values in features.items() if values is not None and name in weights}
    asked: dict[Cell, int] = {}
    for request in requests:
        if cell := _cell(request, labels, styles):
            asked[cell] = asked.get(cell, 0) + int(request["count"])
    own = line.get("credits")
    if own and len(own) == len(requests):
        said_later = [
            {"label": request["label"], "style": request["style"], "credit": credit}
            for request, credit in zip(requests, own, strict=True)
        ]
    credits: dict[Cell, float] = {}
    for entry in said_later if isinstance(said_later, list) else []:
        cell = _cell(entry, labels, styles)
        if cell in asked and finite(entry.get("credit")):
            credits[cell] = credits.get(cell, 0.0) + float(entry["credit"])
    faults = why.get("why_not")
    return Reason(
        round=int(line["round"]),
        asked=asked,
        probabilities=_grid(why.get("probabilities"), shape),
        values=_grid(why.get("values"), shape),
        uncertainty=_grid(why.get("uncertainty"), shape),
        weights=weights,
        features=features,
        temperature=why["temperature"] if finite(why.get("temperature")) else None,
        exploration=why["exploration"] if finite(why.get("exploration")) else None,
        credits=credits,
        decided_by=plainly(why.get("decided_by") or "", 80),
        rationale=plainly(why.get("rationale") or "", LONGEST),
        why_not=tuple(plainly(fault, 300) for fault in (faults if isinstance(faults, list) else [])[:MOST_FAULTS]),
    )


def short_reason(line: dict, labels: tuple[str, ...], styles: tuple[str, ...]) -> str:
    """Why a journal line's cells were chosen, in at most 60 characters for a terminal; "" where nothing is known.

    A model's rationale is not in it.
    """
    reason = read_reason(line, labels, styles)
    if not reason.asked:
        return ""
    if by_model(reason):
        return plainly(f"chosen by the {reason.decided_by}", _SHORT)
    if reason.main_features:
        return plainly(f"mostly {', '.join(map(said, reason.main_features))}", _SHORT)
    if reason.values is not None and np.isfinite(expected := reason.values[reason.largest()]):
        return f"estimated credit {expected:+.4f} a clip"
    return plainly(f"chosen by {reason.decided_by}", _SHORT) if reason.decided_by else ""


def by_model(reason: Reason) -> bool:
    """Whether a language model's answer was taken, the first or the second."""
    return reason.decided_by.partition(",")[0] == "llm"


def said(feature: str) -> str:
    """A feature's name in prose; not escaped."""
    return plainly(feature.replace("_", " "), 40)


def _mapping(value: object) -> dict:
    return value if isinstance(value, dict) else {}


def _grid(values: object, shape: tuple[int, int]) -> np.ndarray | None:
    """The values as (C, S) floats, NaN where there is none; None where they have another shape or no number."""
    try:
        grid = np.array(values, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    if grid.shape != shape or not np.isfinite(grid).any():
        return None
    return np.where(np.isfinite(grid), grid, np.nan)


def _cell(request: object, labels: tuple[str, ...], styles: tuple[str, ...]) -> Cell | None:
    named = _mapping(request)
    if named.get("label") in labels and named.get("style") in styles:
        return labels.index(named["label"]), styles.index(named["style"])
    return None
