"""Decoding where a hostile file cannot hurt: in a process with a time and a memory limit, killed when it is stuck."""

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from resp_agent.audio.header import Unreadable
from resp_agent.audio.intake import HERE, Taken, parse, send
from resp_agent.errors import RunFailed
from resp_agent.settings import DecodingSettings, QualitySettings

_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
"""All that a decoder is told of its surroundings: a key in the environment is none of its business."""
_START_TIMEOUT_S = 60.0
_PIPE_BYTES = 2**20
_TRIES = 2
"""A file is given a second process, because a process may be killed by other things than its file."""


class Sandbox:
    """A process that decodes one file after the other; it starts when first needed and again after it was lost."""

    def __init__(self, wanted: QualitySettings, limits: DecodingSettings, work: str = HERE):
        self._options = json.dumps({"wanted": asdict(wanted), **asdict(limits), "work": work})
        self._limits = limits
        self._process: subprocess.Popen | None = None

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def take(self, path: Path) -> Taken:
        """What is kept of a file's audio.

        Raises:
            Unreadable: it cannot be decoded, is not fit to learn from, takes too long or too much memory, or breaks
                its decoder.
            RunFailed: the process cannot be started.
        """
        self._started()
        deadline = time.monotonic() + self._limits.time_limit_s
        for _ in range(_TRIES):
            process = self._started()
            try:
                send(process.stdin, {}, os.fsencode(path))
                answer = self._receive(deadline)
            except TimeoutError:
                self.close()
                raise Unreadable(
                    f"decoding it takes more than {self._limits.time_limit_s:g} s (--decoding.time-limit-s)"
                ) from None
            except BrokenPipeError:
                answer = None
            if answer:
                return _taken(*answer)
            code = self._lost()
        raise Unreadable(f"its decoder breaks ({_ending(code)})")

    def close(self) -> None:
        """Ends the process, whatever it does."""
        if self._process:
            self._process.kill()
            self._lost()

    def _started(self, tries: int = _TRIES) -> subprocess.Popen:
        if self._process is None:
            # The package may be importable here by a path that a new interpreter would not look at.
            paths = os.pathsep.join(path for path in sys.path if path)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "resp_agent.audio.intake", self._options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
                | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                bufsize=0,
            )
            _widen(self._process.stdout.fileno())
            try:
                ready = self._receive(time.monotonic() + _START_TIMEOUT_S)
            except TimeoutError:
                ready = None
            if ready is None:
                self.close()
                if tries > 1:
                    return self._started(tries - 1)
                raise RunFailed(f"the decoding process does not start: try {sys.executable} -m resp_agent.audio.intake")
        return self._process

    def _receive(self, deadline: float) -> tuple[dict, bytes] | None:
        """The answer, None where there will be none, by a time of `time.monotonic`."""
        pipe, data, answer = self._process.stdout.fileno(), b"", None
        while answer is None:
            if not select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError
            part = os.read(pipe, _PIPE_BYTES)
            if not part:
                return None
            data += part
            answer = parse(data)
        return answer

    def _lost(self) -> int:
        process, self._process = self._process, None
        for pipe in (process.stdin, process.stdout):
            pipe.close()
        try:
            return process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def _taken(head: dict, body: bytes) -> Taken:
    if "reason" in head:
        raise Unreadable(head["reason"])
    return Taken(flac=body, **head)


def _widen(pipe: int) -> None:
    """Lets a pipe hold a whole answer, so that the decoder need not wait for it to be read; where that is possible."""
    with suppress(OSError, AttributeError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _ending(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
