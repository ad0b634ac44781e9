"""What was published, as data: the figures that benchmarks print beside ours.

`table6_7.csv`, `ablation.csv` and `losses.csv` (no clips synthesized) are of Resp-Agent (Zhang, Xie, Yang and Liu, ICLR
2026, arXiv 2602.15909), on its cross-domain test, as shares of 1. `table2.csv` is its table 2: ICBHI 2017, official
split, four classes, in percent. `table4.csv` is of synthesized clips: Frechet distance, cosine of style, and a judge's
accuracy as a share of 1. `planners.csv` are policies at a budget of clips; at 30,000 the thinker's macro-F1 is 0.541.
"""

import csv
from pathlib import Path

SOURCE = "Zhang et al., Resp-Agent, ICLR 2026"


def published(table: str) -> list[dict[str, str | float | None]]:
    """Rows of a published table in its order: numbers as floats, `-` as None.

    Args:
        table: `table2`, `table4`, `table6_7`, `ablation`, `losses` or `planners`.
    """
    with (Path(__file__).with_name(f"{table}.csv")).open(newline="", encoding="utf-8") as file:
        return [{name: _value(text) for name, text in row.items()} for row in csv.DictReader(file)]


def _value(text: str) -> str | float | None:
    if text == "-":
        return None
    try:
        return float(text)
    except ValueError:
        return text
