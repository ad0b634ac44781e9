"""Which source is for what: to train on (and validate), for the test, or neither."""

from collections.abc import Sequence
from pathlib import Path

from resp_agent.corpus.sources import SOURCES
from resp_agent.errors import UserError


def check_sources(sources: dict[str, Path]) -> None:
    """Raises UserError for a source without a reader, or a root that is not a directory."""
    for name, root in sources.items():
        if name not in SOURCES:
            raise UserError(f"there is no reader for source {name!r}: choose from {', '.join(SOURCES)}")
        if not Path(root).is_dir():
            raise UserError(f"source {name} has no directory at {root}: give the folder that holds its original layout")


def check_roles(entries: Sequence[str], sources: dict[str, Path]) -> dict[str, str]:
    """Role by source: what `entries` (`<source>=<role>`) say, and the source's own otherwise.

    Raises:
        UserError: an entry is of a source that is not built.
    """
    said = dict(entry.split("=") for entry in entries)
    for name in said:
        if name not in sources:
            raise UserError(f"a role is given for {name!r}, which is not built: choose from {', '.join(sources)}")
    return {name: said.get(name, SOURCES[name].role) for name in sorted(sources)}


def device_kinds(sources: dict[str, Path]) -> dict[str, str]:
    """What each source records with."""
    return {name: SOURCES[name].device for name in sorted(sources)}
