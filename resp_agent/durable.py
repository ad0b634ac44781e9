"""Files that are whole or not there, also after a kill or a power cut; what mirrors an object store is stored there."""

import os
import time
from pathlib import Path

from resp_agent.storage import publish


def sync(path: Path) -> None:
    """Makes the disk hold what was written to a file, or which names a folder has."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomic(path: Path, data: bytes) -> None:
    """Writes a file so that it is whole or not there, whoever else writes the same one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two workers may write the same name after one was thought dead: each has a temporary of its own.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        with temporary.open("wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        # On a store first: what is here is there, too.
        publish(temporary, at=path)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)
