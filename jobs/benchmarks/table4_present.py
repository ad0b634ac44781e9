"""Table 4 as text for a terminal, as plain data and as a figure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jobs.benchmarks.table4_clips import PROTOCOLS
from resp_agent.published import SOURCE, published
from resp_agent.report.style import LIGHT
from resp_agent.report.swap_figure import Swapped, swap_figure
from resp_agent.report.terminal import text_table, wrapped
from resp_agent.report.words import MISSING, score

FIGURES = {
    "p_acc": "P-Acc",
    "style_sim": "Style-Sim",
    "style_sim_other": "to others",
    "reference_sim": "reference",
    "fad": "FAD",
    "fad_of_all": "of all",
    "leak": "leak",
    "diversity": "diversity",
    "nearest": "nearest",
    "memorised": "memorised",
    "clips": "clips",
}
"""What is printed -> its head."""
DRAWN = {"p_acc": "P-Acc", "style_sim": "Style-Sim", "fad": "FAD", "leak": "style leak"}
"""What is drawn -> the title of its panel."""
LEAST_P_ACC = LEAST_STYLE_SIM = 0.85
MOST_FAD = 0.5
"""Share of the duplicates' FAD."""
GENERATOR, DUPLICATES = "generator", "noisy duplicates"


@dataclass(frozen=True)
class Row:
    """A row and what its trials found."""

    title: str
    results: dict[int, dict]
    """Seed -> result of the trial."""

    def values(self, protocol: str, name: str) -> list[float]:
        """A figure of a swap by seed, where there is one."""
        found = [result["swaps"][protocol][name] for result in self.results.values()]
        return [value for value in found if value is not None]

    def mean(self, protocol: str, name: str) -> float | None:
        """Over seeds."""
        values = self.values(protocol, name)
        return float(np.mean(values)) if values else None


def printed(rows: Sequence[Row], notes: Sequence[str]) -> str:
    """Both swaps, the paper's figures, what follows, and notes."""
    sections = []
    for protocol in PROTOCOLS:
        lines = [(row.title, *(_shown(row, protocol, name) for name in FIGURES)) for row in rows]
        head = (protocol, *FIGURES.values())
        sections.append("\n".join(text_table(head, lines, texts=1)))
    theirs = [
        (f"{row['system']}, {row['setting']}", *(score(row[name]) for name in ("p_acc", "style_sim", "fad")))
        for row in published("table4")
    ]
    sections.append("\n".join(text_table((f"paper: {SOURCE}", "P-Acc", "Style-Sim", "FAD"), theirs, texts=1)))
    sections.append("\n".join(wrapped(sentence) for sentence in verdict(rows)))
    sections.append("\n".join(["Notes", *(wrapped(note) for note in notes)]))
    return "\n\n".join(["Table 4: style and content apart", *(section for section in sections if section)]) + "\n"


def as_plain(rows: Sequence[Row], notes: Sequence[str]) -> dict:
    """Everything that the text says and each seed's results, for machines; what is not known is None."""
    return {
        "rows": [
            {
                "title": row.title,
                "swaps": {
                    protocol: {
                        name: {"mean": row.mean(protocol, name), "sd": _deviation(row.values(protocol, name))}
                        for name in (*FIGURES, "style_accuracy", "closest")
                    }
                    for protocol in PROTOCOLS
                },
                "seeds": {str(seed): result for seed, result in row.results.items()},
            }
            for row in rows
        ],
        "published": published("table4"),
        "verdict": verdict(rows),
        "notes": list(notes),
    }


def verdict(rows: Sequence[Row]) -> list[str]:
    """Sentences: whether the generator's clips are as they should be, swap by swap."""
    known = {row.title: row for row in rows if row.results}
    ours, noisy = known.get(GENERATOR), known.get(DUPLICATES)
    if ours is None:
        return []
    sentences = []
    for protocol in PROTOCOLS:
        parts = []
        for name, least in (("p_acc", LEAST_P_ACC), ("style_sim", LEAST_STYLE_SIM)):
            value = ours.mean(protocol, name)
            if value is not None:
                parts.append(f"{FIGURES[name]} {value:.3f}, {_met(value >= least)} at least {least}")
        distances = [row.mean(protocol, "fad") for row in (ours, noisy) if row]
        if len(distances) == 2 and all(distances):
            share = distances[0] / distances[1]
            parts.append(f"FAD {share:.2f} of the duplicates', {_met(share <= MOST_FAD)} at most {MOST_FAD}")
        memorised = [value * count for value, count in zip(
            ours.values(protocol, "memorised"), ours.values(protocol, "clips"), strict=True)]  # fmt: skip
        closest = min(ours.values(protocol, "closest"))
        parts.append(
            f"{round(sum(memorised))} of {sum(map(int, ours.values(protocol, 'clips')))} clips nearer to a training "
            f"recording than 99 % of those are to each other, the nearest at {closest:.2f} of that distance"
        )
        sentences.append(f"{protocol}: {'; '.join(parts)}")
    return sentences


def drawn(rows: Sequence[Row], note: str) -> bytes:
    """The figure as PNG."""
    theirs = {row["setting"]: row for row in published("table4") if row["system"] == "Resp-Agent"}
    shown = [
        Swapped(row.title, {name: {swap: tuple(row.values(swap, name)) for swap in PROTOCOLS} for name in DRAWN})
        for row in rows
        if row.results
    ]
    return swap_figure(shown, DRAWN, tuple(PROTOCOLS), f"Ours: {note}. {_paper(theirs)}", LIGHT)


def _paper(theirs: dict[str, dict]) -> str:
    told = "; ".join(
        f"{swap} P-Acc {theirs[swap]['p_acc']:.3f}, Style-Sim {theirs[swap]['style_sim']:.2f}, "
        f"FAD {theirs[swap]['fad']:.2f}"
        for swap in PROTOCOLS
    )
    return f"{SOURCE}, on its own corpus and encoder: {told}."


def _shown(row: Row, protocol: str, name: str) -> str:
    value = row.mean(protocol, name)
    if value is None:
        return MISSING
    return score(value, {"fad": 2, "fad_of_all": 2, "diversity": 2, "nearest": 2, "clips": 0}.get(name, 3))


def _deviation(values: list[float]) -> float | None:
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def _met(is_met: bool) -> str:
    return "which is" if is_met else "which is not"
