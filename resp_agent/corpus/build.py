"""Raw recordings of several sources to a corpus directory: built + excluded + quarantined = everything found.

Readers list what there is, workers stage it (decode, judge, encode), and what depends on all recordings together
(duplicates, splits, styles) is settled last. Nothing here holds audio but of the rows at hand.
"""

import errno
import fcntl
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resp_agent.corpus import listing
from resp_agent.corpus.assembly import Assembly
from resp_agent.corpus.bulk import Progress, Runner, in_threads
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.narrative.narration import narrated
from resp_agent.corpus.roles import check_roles, check_sources, device_kinds
from resp_agent.corpus.stage import Staged, Staging, identity
from resp_agent.corpus.write import prepare, write_tables
from resp_agent.errors import RunFailed, UserError
from resp_agent.settings import CorpusSettings
from resp_agent.storage import children, remove, shown

BUILD_VERSION = 2
"""Raised when the same files would be built into another corpus than before."""


def build_corpus(
    sources: dict[str, Path],
    out: Path,
    settings: CorpusSettings | None = None,
    run: Runner | None = None,
    progress: Progress | None = None,
    info: dict | None = None,
) -> Corpus:
    """Builds the recordings of `sources` (name -> root of its original layout) into `out`.

    `run` says where the work happens, and changes nothing else. What was staged by a build that was killed is found
    beside `out` and not decoded again. `info` is added to corpus.json.

    Raises:
        UserError: a source is unknown or its path is not a directory, a label is not mapped, nothing is found, nothing
            found can be built, `out` cannot be written, or another build is writing it.
        RunFailed: a disk is full, or workers cannot go on; what they did is kept.
    """
    # Resolved, because a link cannot be replaced by a corpus and what it leads to can.
    out, settings = Path(out).resolve(), settings or CorpusSettings()
    run, tell = run or in_threads(), progress or _silent
    check_sources(sources)
    roles = check_roles(settings.roles, sources)
    prepare(out)
    with _enough_room(out), _workplace(out) as place:
        rows = listing.listed(sources, identity(settings))
        parts = listing.write_parts(rows, place / "listing", lambda count: tell("found", count, None))
        staged = place / f"staged-{identity(settings)}"
        _stage(parts, settings, staged, place / "pending", run, tell)
        assembly = Assembly(parts, Staged(staged), settings, roles)
        _refuse_nothing(sources, assembly)
        about = {
            "sources": sorted(sources),
            "roles": roles,
            "device_kinds": device_kinds(sources),
            "seed": settings.seed,
            **(info or {}),
        }
        tables = narrated(assembly, settings, place, run, tell)
        corpus = write_tables(tables, out, assembly.set_aside, assembly.notes, about, assembly.cycles())
        # Its work is done, and what another file system may hold on to is no failure of it.
        remove(place)
    return corpus


@contextmanager
def _enough_room(out: Path) -> Iterator[None]:
    """Raises RunFailed where a disk is full: what was staged stays."""
    try:
        yield
    except OSError as problem:
        if problem.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS):
            raise
        raise RunFailed(
            f"{shown(out)} cannot be written ({problem.strerror}): make room, and the same command goes on where it was"
        ) from None


def _silent(what: str, done: int, total: int | None) -> None:
    pass


@contextmanager
def _workplace(out: Path) -> Iterator[Path]:
    """A folder beside the output where work waits to be gone on with; removed where there is none.

    Raises:
        UserError: another build has it.
    """
    place, own = out.parent / f".{out.name}.build", out.parent / f".{out.name}.lock"
    with own.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another build is writing {shown(out)}: wait for it, or choose another output") from None
        except OSError:
            # Some shared storage has no locks; then nobody can be told.
            pass
        place.mkdir(exist_ok=True)
        for folder in ("listing", "pending", "facts"):
            remove(place / folder)
        try:
            yield place
        finally:
            staged = [folder for folder in children(place) if folder.name.startswith("staged-")]
            if not any(path.suffix == ".parquet" for folder in staged for path in children(folder)):
                remove(place)
            own.unlink(missing_ok=True)


def _stage(
    parts: list[Path], settings: CorpusSettings, folder: Path, work_folder: Path, run: Runner, tell: Progress
) -> None:
    """Stages what is listed and is not staged yet."""
    staged, total, missing = Staged(folder), 0, 0

    def pending() -> Iterator[dict]:
        nonlocal total, missing
        for part in parts:
            for row in listing.read(part):
                if not row["reason"]:
                    total += 1
                    if row["key"] not in staged:
                        missing += 1
                        yield row

    work = listing.write_parts(pending(), work_folder)
    done = total - missing
    for count in run(Staging(settings, folder), work):
        done += count
        tell("decoded", done, total)


def _refuse_nothing(sources: dict[str, Path], assembly: Assembly) -> None:
    if assembly.kept:
        return
    places = ", ".join(f"{name}={root}" for name, root in sources.items())
    if not assembly.set_aside:
        raise UserError(f"no recording was found in {places}: give the folders that hold the original layouts")
    reason, _ = Counter(sorted(row.reason for row in assembly.set_aside)).most_common(1)[0]
    raise UserError(
        f"none of the {len(assembly.set_aside)} recordings found in {places} can be built (mostly because {reason}): "
        "check that the whole original layout is there"
    )
