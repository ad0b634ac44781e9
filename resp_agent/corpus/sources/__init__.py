"""Readers of corpora in their original layouts, one file each, and the table of them.

A reader is `read(root: Path) -> Iterator[Found | SetAside]`: an item for each recording below `root`, none for other
files.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from resp_agent.corpus.sources import coughvid, covid19cough, folder, hflung, icbhi, kauh, sprsound, ukcovid
from resp_agent.corpus.sources.found import Found, SetAside
from resp_agent.settings.corpus import Role

Reader = Callable[[Path], Iterator[Found | SetAside]]


@dataclass(frozen=True)
class Source:
    """How a source is read, what it is for unless the user says otherwise, and what it records with."""

    read: Reader
    role: Role
    device: str
    """`microphone`, `stethoscope` or `as given`."""


SOURCES: dict[str, Source] = {
    ukcovid.NAME: Source(ukcovid.read, "train", "microphone"),
    icbhi.NAME: Source(icbhi.read, "train", "stethoscope"),
    sprsound.NAME: Source(sprsound.read, "train", "stethoscope"),
    coughvid.NAME: Source(coughvid.read, "test", "microphone"),
    kauh.NAME: Source(kauh.read, "test", "stethoscope"),
    covid19cough.NAME: Source(covid19cough.read, "none", "microphone"),
    hflung.NAME: Source(hflung.read, "none", "stethoscope"),
    folder.NAME: Source(folder.read, "train", "as given"),
}
"""Name of a source -> what is known of it."""

__all__ = ["SOURCES", "Found", "Reader", "SetAside", "Source"]
