"""Checkpoints that are whole or not there, and that are read only if they are what was written.

One on an object store (see `storage`) is fetched when it is verified. What says that it is whole comes last there.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import torch.distributed as dist

from resp_agent.durable import sync
from resp_agent.errors import CorruptCheckpoint
from resp_agent.storage import fetch, forget, is_mirror, publish

PROGRESS = "progress.json"
MANIFEST = "digests.json"
_HERE = ".first-rank"
"""Marks the folder that rank 0 writes to: ranks on other nodes mirror it in folders of their own."""


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a whole checkpoint, by relative name, as they were when it was written."""
    return json.loads(fetch(folder / MANIFEST).read_text())


def _measure(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): _sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def verify(folder: Path, expected: dict[str, str]) -> None:
    """Raises CorruptCheckpoint, naming the file, where a file of `expected` is absent or other than it was."""
    fetch(folder)
    if is_mirror(folder):
        _fetch_anew(folder, expected)
    for name, digest in expected.items():
        path = folder / name
        if not path.is_file():
            raise CorruptCheckpoint(f"{folder.name}/{name} is missing: the checkpoint cannot be used")
        if _sha256(path) != digest:
            raise CorruptCheckpoint(f"{folder.name}/{name} is not what was written: the checkpoint cannot be used")


def _fetch_anew(folder: Path, expected: dict[str, str]) -> None:
    """What was replaced within a second looks the same by size and time, and is not."""
    for name, digest in expected.items():
        if (folder / name).is_file() and _sha256(folder / name) != digest:
            (folder / name).unlink()
            fetch(folder / name)


def write_whole(folder: Path, write: Callable[[Path], None], progress: dict) -> dict[str, str]:
    """Calls `write(partial folder)` on every rank, then rank 0 gives the folder its name: all of it or nothing.

    Returns:
        The digests of its files, on every rank.
    """
    rank = dist.get_rank() if dist.is_initialized() else 0
    partial = folder.with_name(folder.name + ".partial")
    scattered = is_mirror(folder) and _ranks() > 1
    if rank == 0 or scattered:
        shutil.rmtree(partial, ignore_errors=True)
    if scattered:
        _begin_scattered(partial, rank)
    elif rank == 0:
        partial.mkdir(parents=True)
    _barrier()
    write(partial)
    if scattered:
        _gather_scattered(partial, rank)
    _barrier()
    if rank == 0:
        (partial / PROGRESS).write_text(json.dumps(progress))
        (partial / MANIFEST).write_text(json.dumps(_measure(partial)))
        for path in partial.rglob("*"):
            sync(path)
        publish(partial, at=folder, seal=PROGRESS)
        if scattered:
            forget(partial)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
        sync(folder.parent)
    _barrier()
    if scattered:
        # Of nodes without rank 0; what is needed there is fetched.
        shutil.rmtree(partial, ignore_errors=True)
    return digests(folder)


def read_progress(folder: Path) -> dict | None:
    """What `write_whole` was given, or None where there is no whole checkpoint."""
    path = fetch(folder / PROGRESS)
    return json.loads(path.read_text()) if path.is_file() else None


def _begin_scattered(partial: Path, rank: int) -> None:
    """Makes the folder on every node, and marks that of rank 0."""
    _barrier()
    if rank == 0:
        forget(partial)
    partial.mkdir(parents=True, exist_ok=True)
    if rank == 0:
        (partial / _HERE).touch()


def _gather_scattered(partial: Path, rank: int) -> None:
    """Brings what ranks on other nodes wrote to rank 0, by way of the store."""
    if rank and not (partial / _HERE).exists():
        for path in partial.rglob("*"):
            if path.is_file():
                publish(path)
    _barrier()
    if rank == 0:
        fetch(partial, prune=False)
        (partial / _HERE).unlink()


def _ranks() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def _barrier() -> None:
    if _ranks() > 1:
        dist.barrier()
