"""Checkpoints that are whole or not there, and that are read only if they are what was written."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import torch.distributed as dist

from resp_agent.durable import sync
from resp_agent.errors import CorruptCheckpoint

PROGRESS = "progress.json"
MANIFEST = "digests.json"


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a whole checkpoint, by relative name, as they were when it was written."""
    return json.loads((folder / MANIFEST).read_text())


def _measure(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): _sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def verify(folder: Path, expected: dict[str, str]) -> None:
    """Raises CorruptCheckpoint, naming the file, where a file of `expected` is absent or other than it was."""
    for name, digest in expected.items():
        path = folder / name
        if not path.is_file():
            raise CorruptCheckpoint(f"{folder.name}/{name} is missing: the checkpoint cannot be used")
        if _sha256(path) != digest:
            raise CorruptCheckpoint(f"{folder.name}/{name} is not what was written: the checkpoint cannot be used")


def write_whole(folder: Path, write: Callable[[Path], None], progress: dict) -> dict[str, str]:
    """Calls `write(partial folder)` on every rank, then rank 0 gives the folder its name: all of it or nothing.

    Returns:
        The digests of its files, on every rank.
    """
    rank = dist.get_rank() if dist.is_initialized() else 0
    partial = folder.with_name(folder.name + ".partial")
    if rank == 0:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
    _barrier()
    write(partial)
    _barrier()
    if rank == 0:
        (partial / PROGRESS).write_text(json.dumps(progress))
        (partial / MANIFEST).write_text(json.dumps(_measure(partial)))
        for path in partial.rglob("*"):
            sync(path)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
        sync(folder.parent)
    _barrier()
    return digests(folder)


def read_progress(folder: Path) -> dict | None:
    """What `write_whole` was given, or None where there is no whole checkpoint."""
    path = folder / PROGRESS
    return json.loads(path.read_text()) if path.is_file() else None


def _barrier() -> None:
    if dist.is_initialized() and dist.get_world_size() > 1:
        dist.barrier()
