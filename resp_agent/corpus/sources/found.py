"""What every reader of a source yields: a recording that it found, or one that it sets aside with a reason."""

import os
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from resp_agent.corpus.schema import Cycle, Event
from resp_agent.errors import UserError
from resp_agent.taxonomy import Place

AUDIO_SUFFIXES = (
    ".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".mp4", ".aac", ".webm", ".aif", ".aiff", ".wma", ".amr",
)  # fmt: skip


_LONGEST_TEXT = 64 * 2**20
"""Bytes of the longest table or annotation that is read."""


@dataclass(frozen=True)
class Found:
    """A recording as its source describes it; nothing of its audio has been read."""

    source: str
    path: Path
    patient_id: str | None
    """Source-scoped, such as `icbhi:104`; None where the source does not say."""
    source_label: str
    """The source's own word for the condition, verbatim; "" where nobody diagnosed the recording."""
    device: str | None = None
    site: str | None = None
    age_years: float | None = None
    sex: str | None = None
    symptoms: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    normal_breaths: int | None = None
    official_split: str | None = None
    cycles: tuple[Cycle, ...] = ()
    """Respiratory cycles, where the source marks them."""
    remarks: tuple[str, ...] = ()
    """What is odd about it and was decided by a rule, in words that the statistics count."""
    place: Place | None = None
    """Where the source itself brings the mapping of its word; else the taxonomy's table is asked."""


@dataclass(frozen=True)
class SetAside:
    """A recording that is not built. `excluded`: for a reason that the source explains; else it goes to quarantine."""

    source: str
    path: Path
    source_label: str | None
    reason: str
    excluded: bool = False


class BadAnnotation(ValueError):
    """An annotation or a file name that does not follow its source's layout; the message is the reason."""


def audio_files(root: Path) -> Iterator[Path]:
    """Everything under `root` that is named like audio, in a fixed order: files, links to nothing, even directories."""
    for path in everything(root):
        if path.name.lower().endswith(AUDIO_SUFFIXES) and not path.name.startswith("."):
            yield path


def everything(root: Path) -> Iterator[Path]:
    """Files and directories under `root` in a fixed order. Links to directories are followed, each directory once.

    Raises:
        UserError: a directory cannot be read, so that nobody knows what is in it.
    """
    seen = set()
    for folder, folders, files in os.walk(root, followlinks=True, onerror=_refuse):
        place = os.path.realpath(folder)
        if place in seen:
            folders.clear()
            continue
        seen.add(place)
        folders.sort()
        for name in sorted(folders + files):
            yield Path(folder, name)


def files_named(root: Path, suffix: str) -> list[Path]:
    """Files under `root` whose names end so, sorted."""
    return sorted(path for path in everything(root) if path.name.endswith(suffix) and os.path.isfile(path))


def _refuse(problem: OSError) -> None:
    raise UserError(f"the directory {problem.filename} cannot be read ({problem.strerror}): mend it or move it away")


def first_file(root: Path, *names: str) -> Path | None:
    """The file nearest to `root` that has one of the names, the earlier names first; None if there is none."""
    found = sorted(path for path in everything(root) if path.name in names and os.path.isfile(path))
    return min(found, key=lambda path: (names.index(path.name), len(path.parts)), default=None)


def read_text(path: Path) -> str:
    """Text of a small file, whatever its line ends; bytes that are no UTF-8 are kept visible.

    Raises:
        BadAnnotation: it cannot be read.
    """
    try:
        if path.stat().st_size > _LONGEST_TEXT:
            raise BadAnnotation("its annotation is too long to be one")
        return path.read_bytes().decode("utf-8-sig", errors="backslashreplace")
    except OSError:
        raise BadAnnotation("its annotation cannot be read") from None


def archived_texts(root: Path, archive: str, suffix: str) -> dict[str, tuple[PurePosixPath, str]]:
    """Name without suffix -> (folder in the archive, text) of the members of a tar below `root`; empty without one.

    Raises:
        UserError: the archive is damaged.
    """
    path = first_file(root, archive)
    if path is None:
        return {}
    texts = {}
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                if member.isfile() and member.name.endswith(suffix):
                    place = PurePosixPath(member.name)
                    text = tar.extractfile(member).read().decode("utf-8-sig", errors="backslashreplace")
                    texts[place.stem] = (place.parent, text)
    except (tarfile.TarError, EOFError, OSError, zlib.error):
        raise UserError(f"the annotation archive {path} is damaged: replace it, or remove it to do without") from None
    return texts
