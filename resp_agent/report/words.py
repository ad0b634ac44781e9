"""Numbers and user-given text as HTML: escaped, rounded once, and a dash where there is no number."""

import base64
import html
import json
import math
from typing import Any

MISSING = "—"


def text(value: Any) -> str:
    """Any value as HTML text, safe in elements and in quoted attributes."""
    return html.escape(str(value), quote=True)


def plainly(value: Any, most: int) -> str:
    """Text of unknown origin as printable characters, line breaks kept, cut to `most`; not escaped.

    What a terminal or a page would act on (escapes, changes of direction, halves of characters) becomes a space.
    """
    whole = "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in str(value)).strip()
    return whole if len(whole) <= most else f"{whole[: most - 1].rstrip()}…"


def finite(value: Any) -> bool:
    """Whether a value is a number that can be shown."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def score(value: Any, digits: int = 3) -> str:
    """A score as 0.412."""
    return f"{value:.{digits}f}" if finite(value) else MISSING


def brief(value: Any, sign: bool = False) -> str:
    """A score or a difference of scores where room is short: .412, −.020; with `sign` +.151."""
    if not finite(value):
        return MISSING
    return f"{value + 0.0:{'+' if sign else ''}.3f}".replace("0.", ".", 1).replace("-", "−")


def change(value: Any, digits: int = 3) -> str:
    """A difference of scores with its sign: +0.151, −0.020."""
    if not finite(value):
        return MISSING
    rounded = round(value, digits) + 0.0
    return f"{rounded:+.{digits}f}".replace("-", "−") if rounded else f"±{0:.{digits}f}"


def gain(before: Any, after: Any, digits: int = 3) -> str:
    """The difference of two scores as they are shown, so that a reader who subtracts finds the same."""
    return change(round(after, digits) - round(before, digits), digits) if finite(before) and finite(after) else MISSING


def duration(value: Any) -> str:
    """Seconds as a person says them: 8.2 s, 4 min 12 s, 1 h 3 min."""
    if not finite(value):
        return MISSING
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def plain(value: Any) -> str:
    """A settings value as text: numbers as they are, lists with commas; not escaped."""
    if isinstance(value, list | tuple):
        return ", ".join(plain(item) for item in value)
    if value is None:
        return MISSING
    if isinstance(value, float) and not math.isfinite(value):
        return MISSING
    return value if isinstance(value, str) else json.dumps(value, default=str)


def count_of(number: int, noun: str) -> str:
    """`1 clip`, `40 clips`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def data_uri(data: bytes, kind: str) -> str:
    """Bytes inside the page."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
