"""Stand-ins for the work of the decoding process, each wrong in its own way."""

import ctypes
import hashlib
import os
import signal
import sys
import time
from pathlib import Path

from resp_agent.audio.intake import Taken, take


def sleep(path: Path, wanted) -> Taken:
    """Never comes back, but could be asked to."""
    if "hang" in path.name:
        time.sleep(3_600)
    return take(path, wanted)


def spin(path: Path, wanted) -> Taken:
    """Never comes back from C, where no Python signal handler runs."""
    if "hang" in path.name:
        hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
    return take(path, wanted)


def crash(path: Path, wanted) -> Taken:
    """Reads what is not there."""
    if "crash" in path.name:
        ctypes.string_at(0)
    return take(path, wanted)


def exits(path: Path, wanted) -> Taken:
    """Ends without a word."""
    if "exit" in path.name:
        os._exit(3)
    return take(path, wanted)


def hoard(path: Path, wanted) -> Taken:
    """Takes all the memory that there is."""
    if "hoard" in path.name:
        held = []
        while True:
            held.append(bytes(2**26))
    return take(path, wanted)


def shot_once(path: Path, wanted) -> Taken:
    """Is killed from outside the first time that it meets a file, by nobody's fault."""
    mark = path.with_suffix(".shot")
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return take(path, wanted)


def talk(path: Path, wanted) -> Taken:
    """Says things where answers are expected."""
    print("a decoder's opinion", flush=True)
    os.write(1, b"\x00" * 64)
    print("and another", file=sys.stderr, flush=True)
    return take(path, wanted)
