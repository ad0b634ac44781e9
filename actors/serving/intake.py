"""Uploads to audio: sniffed and decoded in the corpus build's sandboxed process, and never stored."""

import os
import queue
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resp_agent.audio.intake import Taken
from resp_agent.audio.sandbox import Sandbox
from resp_agent.settings import DecodingSettings, QualitySettings

DECODING = DecodingSettings(time_limit_s=3.5, memory_limit_mb=512)
"""A file is decoded or refused within 5 s, a lost process included."""


class Intake:
    """Sandboxes for uploads; `take` may be called by as many threads as like."""

    def __init__(self, longest_s: float, sandboxes: int = 2, decoding: DecodingSettings = DECODING):
        wanted = QualitySettings(longest_s=longest_s)
        self._all = [Sandbox(wanted, decoding) for _ in range(sandboxes)]
        self._free: queue.Queue[Sandbox] = queue.Queue()
        for sandbox in self._all:
            self._free.put(sandbox)

    def take(self, data: bytes) -> Taken:
        """The audio of an upload.

        Raises:
            Unreadable: it cannot be decoded, or is not fit to be diagnosed.
        """
        sandbox = self._free.get()
        try:
            with _nameless(data) as path:
                return sandbox.take(path)
        finally:
            self._free.put(sandbox)

    def close(self) -> None:
        """Ends the processes."""
        for sandbox in self._all:
            sandbox.close()


@contextmanager
def _nameless(data: bytes) -> Iterator[Path]:
    """A path to bytes that lie in memory and are gone afterwards; where the system has no such files, on disk."""
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("upload", os.MFD_CLOEXEC)
        try:
            _write(handle, data)
            yield Path(f"/proc/{os.getpid()}/fd/{handle}")
        finally:
            os.close(handle)
        return
    with tempfile.NamedTemporaryFile() as file:
        _write(file.fileno(), data)
        yield Path(file.name)


def _write(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
