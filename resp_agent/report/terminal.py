"""Text for a terminal: aligned tables and wrapped sentences."""

import textwrap
from collections.abc import Sequence

WIDTH = 120
"""Columns of the text."""

Row = Sequence[str]


def wrapped(text: str, indent: str = "  ") -> str:
    """A sentence in lines of at most `WIDTH`."""
    return textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False)


def text_table(head: Row | None, rows: Sequence[Row], texts: int, width: int = WIDTH) -> list[str]:
    """Lines of a table: the first `texts` columns to the left, the others to the right, cut to `width`."""
    cells = [*([head] if head else []), *rows]
    widths = [max(len(row[at]) for row in cells) for at in range(len(cells[0]))]
    while sum(widths) + 2 * len(widths) > width:
        widths[widths.index(max(widths))] -= 1
    lines = []
    for row in cells:
        aligned = []
        for at, (cell, room) in enumerate(zip(row, widths, strict=True)):
            shown = cell if len(cell) <= room else f"{cell[: room - 1]}…"
            aligned.append(f"{shown:<{room}}" if at < texts else f"{shown:>{room}}")
        lines.append(("  " + "  ".join(aligned)).rstrip())
    if head:
        lines.insert(1, "  " + "  ".join("─" * room for room in widths))
    return lines
