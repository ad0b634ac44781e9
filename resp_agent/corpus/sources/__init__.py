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
    """A corpus: how it is read, what it is for unless the user says otherwise, and where it comes from."""

    read: Reader
    role: Role
    device: str
    """`microphone`, `stethoscope` or `as given`."""
    title: str
    url: str

    def __call__(self, root: Path) -> Iterator[Found | SetAside]:
        return self.read(root)


SOURCES: dict[str, Source] = {
    ukcovid.NAME: Source(
        ukcovid.read,
        "train",
        "microphone",
        "UK COVID-19 Vocal Audio Dataset",
        "https://doi.org/10.5281/zenodo.10043978",
    ),
    icbhi.NAME: Source(
        icbhi.read,
        "train",
        "stethoscope",
        "ICBHI 2017 respiratory sound database",
        "https://bhichallenge.med.auth.gr",
    ),
    sprsound.NAME: Source(
        sprsound.read,
        "train",
        "stethoscope",
        "SPRSound paediatric respiratory sound database",
        "https://github.com/SJTU-YONGFU-RESEARCH-GRP/SPRSound",
    ),
    coughvid.NAME: Source(
        coughvid.read,
        "test",
        "microphone",
        "COUGHVID crowdsourcing dataset",
        "https://doi.org/10.5281/zenodo.4048311",
    ),
    kauh.NAME: Source(
        kauh.read,
        "test",
        "stethoscope",
        "King Abdullah University Hospital lung sounds",
        "https://data.mendeley.com/datasets/jwyy9np4gv",
    ),
    covid19cough.NAME: Source(
        covid19cough.read,
        "none",
        "microphone",
        "covid19-cough dataset",
        "https://github.com/covid19-cough/dataset",
    ),
    hflung.NAME: Source(
        hflung.read,
        "none",
        "stethoscope",
        "HF_Lung_V1 lung sound database",
        "https://gitlab.com/techsupportHF/HF_Lung_V1",
    ),
    folder.NAME: Source(folder.read, "train", "as given", "your own recordings", ""),
}
"""Name of a source -> what is known of it."""

__all__ = ["SOURCES", "Found", "Reader", "SetAside", "Source"]
