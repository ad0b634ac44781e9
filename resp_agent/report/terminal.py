"""Text for a terminal: aligned tables and wrapped sentences."""

import textwrap
from collections.abc import Sequence

WIDTH = 120
"""Columns of the text."""

Row = Sequence[str]


def wrapped(text: str, indent: str = "  ") -> str:
    """A sentence in lines of at most `WIDTH`."""
    return textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False)


def text_table(head: Row | None, rows: Sequence[Row], texts: int) -> list[str]:
    """Lines of a table: the first `texts` columns to the left, the others to the right, cut to `WIDTH`."""
    cells = [*([head] if head else []), *rows]
    widths = [max(len(row[at]) for row in cells) for at in range(len(cells[0]))]
    while sum(widths) + 2 * len(widths) > WIDTH:
        widths[widths.index(max(widths))] -= 1
    lines = []
    for row in cells:
        aligned = []
        for at, (cell, width) in enumerate(zip(row, widths, strict=True)):
            shown = cell if len(cell) <= width else f"{cell[: width - 1]}…"
            aligned.append(f"{shown:<{width}}" if at < texts else f"{shown:>{width}}")
        lines.append(("  " + "  ".join(aligned)).rstrip())
    if head:
        lines.insert(1, "  " + "  ".join("─" * width for width in widths))
    return lines
