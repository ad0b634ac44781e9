"""Events of a run for machines: with RESP_AGENT_LOG=json every process prints them as lines of JSON.

A line has `time` (UTC), `event`, what it is `about` (run, round, request, as far as they are known there), and its own
fields. Without the variable nothing is printed, and consoles say the same in words.
"""

import contextvars
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

VARIABLE = "RESP_AGENT_LOG"
_ABOUT: contextvars.ContextVar[dict[str, Any]] = contextvars.ContextVar("about", default={})  # noqa: B039


def structured() -> bool:
    """Whether lines of JSON are asked for."""
    return os.environ.get(VARIABLE) == "json"


def log(event: str, **fields: Any) -> None:
    """Prints an event, if that is asked for."""
    if structured():
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **about(), **fields}
        # One write a line: threads and processes share the stream.
        sys.stdout.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
        sys.stdout.flush()


def about() -> dict[str, Any]:
    """What events are about here: to be told to workers, who know it no other way."""
    return dict(_ABOUT.get())


@contextmanager
def being_about(**ids: Any) -> Iterator[None]:
    """Events of the block are about these, too."""
    token = _ABOUT.set({**_ABOUT.get(), **ids})
    try:
        yield
    finally:
        _ABOUT.reset(token)
