"""Readers of corpora in their original layouts, one file each.

A reader is `read(root: Path) -> Iterator[Found | SetAside]`: an item for each recording below `root`, none for other
files.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from resp_agent.corpus.sources import icbhi, sprsound
from resp_agent.corpus.sources.found import Found, SetAside

Reader = Callable[[Path], Iterator[Found | SetAside]]

SOURCES: dict[str, Reader] = {icbhi.NAME: icbhi.read, sprsound.NAME: sprsound.read}
"""Name of a source -> its reader."""

__all__ = ["SOURCES", "Found", "Reader", "SetAside"]
