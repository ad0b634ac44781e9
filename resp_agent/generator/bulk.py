"""Synthesis as bulk work: each part is a request in a file, and becomes a shard that is named by its content."""

import errno
import json
import os
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from resp_agent.corpus.dataset import Corpus
from resp_agent.curriculum.beacon import Beacon, read_beacons
from resp_agent.curriculum.request import Request
from resp_agent.diagnoser.learner import Checkpoint
from resp_agent.durable import write_atomic
from resp_agent.errors import RunFailed
from resp_agent.generator.export import Export, clip_file, export_shard
from resp_agent.generator.synthesizer import SHARDS, make_generator, write_clips
from resp_agent.logs import being_about
from resp_agent.settings import Settings, from_plain, to_plain
from resp_agent.storage import fetch, is_mirror, shown, stored
from resp_agent.threads import set_threads
from resp_agent.training.checkpoints import digests

PROGRESS = "progress"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EFBIG)


def write_part(folder: Path, number: int, request: Request) -> Path:
    """A request as a file for a worker."""
    path = folder / f"{number:06d}.json"
    write_atomic(path, json.dumps(asdict(request)).encode())
    return path


def shard_of(out: Path, part: Request, fingerprint: str) -> Path:
    """Where the clips lie that a generator, by its fingerprint, makes of a part."""
    return out / SHARDS / f"{part.name(fingerprint)}.parquet"


def is_made(out: Path, part: Request, fingerprint: str, export: Export = "none") -> bool:
    """Whether a part needs no work: its shard can be read, and each of its clips has the file that is asked for."""
    wanted = [part.clip_id(fingerprint, index) for index in range(part.count)]
    try:
        held = pq.read_table(shard_of(out, part, fingerprint), columns=["id"])["id"].to_pylist()
    except (OSError, pa.ArrowInvalid):
        return False
    files = [] if export == "none" else [clip_file(part.label, part.style, clip, export) for clip in wanted]
    return held == wanted and all((out / file).is_file() for file in files)


def missing_parts(out: Path, parts: Sequence[Request], fingerprint: str, export: Export = "none") -> list[int]:
    """Numbers of the parts that need work; see `is_made`. Of a set on a store the names of what is there tell it."""
    if not is_mirror(out):
        return [number for number, part in enumerate(parts) if not is_made(out, part, fingerprint, export)]
    held = stored(out)

    def is_there(part: Request) -> bool:
        clips = [part.clip_id(fingerprint, index) for index in range(part.count)] if export != "none" else []
        files = [out / clip_file(part.label, part.style, clip, export) for clip in clips]
        return held.issuperset([shard_of(out, part, fingerprint), *files])

    return [number for number, part in enumerate(parts) if not is_there(part)]


@contextmanager
def told_when_full(out: Path) -> Iterator[None]:
    """Makes one sentence of a disk that is full or cannot be written; other errors pass as they are.

    Raises:
        RunFailed: it is.
    """
    try:
        yield
    except OSError as problem:
        if problem.errno not in _FULL + _UNWRITABLE:
            raise
        way_out = "make room there" if problem.errno in _FULL else "make it writable"
        raise RunFailed(
            f"clips cannot be written below {shown(out)} ({problem.strerror}): {way_out}; what is made stays, and the "
            "same command makes the rest"
        ) from problem


@dataclass(frozen=True)
class Synthesis:
    """Implements `corpus.bulk.Work`: what a worker needs to make clips anywhere."""

    settings: str
    """Of the generator, as JSON: work must be hashable."""
    corpus: str
    """The corpus that the generator learned from."""
    generator: str
    """Folder of the trained generator."""
    out: str
    """Shards go to `synthetic` below it."""
    diagnoser: str = ""
    """Folder of the diagnoser that hard clips are hard for."""
    export: Export = "none"
    """Files to listen to, of each shard when it is made."""
    heavy: bool = True

    @classmethod
    def of(
        cls, settings: Settings, corpus: Path, generator: Path, out: Path, diagnoser: Path | None, export: Export
    ) -> "Synthesis":
        """From settings and paths."""
        plain = json.dumps(to_plain(settings))
        return cls(plain, str(corpus), str(generator), str(out), str(diagnoser or ""), export)

    def start(self) -> "Maker":
        """Loads the generator.

        Raises:
            RunFailed: it is not there, or the folder cannot be written.
        """
        return Maker(self)


class Maker:
    """Implements `corpus.bulk.Worker`."""

    def __init__(self, work: Synthesis):
        settings = from_plain(json.loads(work.settings))
        set_threads(settings.threads)
        self._out, self._export = Path(work.out), work.export
        with told_when_full(self._out):
            # Process ids are not unique among the nodes of a cluster.
            self._beacon = Beacon(self._out / PROGRESS, f"synthesis-{platform.node()}-{os.getpid()}")
            self._beacon.at("loading generator")
        self._generator = make_generator(settings, Corpus.open(Path(work.corpus)).split("train"), Path(work.generator))
        if work.diagnoser:
            folder = Path(work.diagnoser)
            self._generator.listen(Checkpoint(str(folder), digests(folder)))
        self._ready_s = time.time()

    def __call__(self, part: Path) -> int:
        """Makes the clips of a part, unless its shard is there, and their files; returns their number.

        Raises:
            RunFailed: the part is not on this node, or the shard cannot be written.
        """
        try:
            request = Request(**json.loads(fetch(Path(part)).read_text()))
        except FileNotFoundError:
            raise RunFailed(f"{part} is not there on every node: give --out on storage that all share") from None
        with told_when_full(self._out), being_about(run=self._out.name):
            self._beacon.at("synthesizing", part=int(Path(part).stem), ready_s=self._ready_s)
            shard = write_clips(self._generator, request, self._out)
            export_shard(self._out / shard.path, self._out, self._export)
        return len(shard.clip_ids)

    def close(self) -> None:
        """Nothing is kept open."""


def started_at(out: Path, began_s: float, workers: int) -> float:
    """When those of `workers` that started after `began_s` had loaded the generator: the mean, in seconds of the clock.

    What has passed since then is work, as if all had been ready at once. One in a killed one's place does not count.
    """
    told = sorted(beacon.get("ready_s", 0.0) for beacon in read_beacons(out / PROGRESS).values())
    ready = [ready_s for ready_s in told if ready_s >= began_s][:workers]
    return sum(ready) / len(ready) if ready else began_s
