"""A file to what a corpus row holds of its audio; and the process that does it apart, where a file can hurt nobody.

Run as `python -m resp_agent.audio.intake`, it answers requests on its standard input until that closes. `sandbox` is
the other side.
"""

import json
import os
import resource
import signal
import struct
import sys
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import BinaryIO

from resp_agent.audio.decode import MEMORY, decode
from resp_agent.audio.header import Unreadable
from resp_agent.audio.quality import quality, refusal
from resp_agent.corpus.schema import SAMPLE_RATE_HZ, encode_flac, pcm_id, to_pcm
from resp_agent.settings import QualitySettings

HERE = "resp_agent.audio.intake:take"
_LENGTHS = struct.Struct("<II")
_GRACE_S = 1.0
"""The process ends itself this long after its time is over, should nobody be left to end it."""


@dataclass(frozen=True)
class Taken:
    """What is kept of a recording's audio."""

    id: str
    flac: bytes = field(repr=False)
    duration_s: float
    original_sample_rate_hz: int
    original_format: str
    quality: dict[str, float]


def take(path: Path, wanted: QualitySettings) -> Taken:
    """Decodes, judges and encodes a file.

    Raises:
        Unreadable: it cannot be decoded, or is not fit to learn from.
    """
    decoded = decode(path, wanted)
    level = quality(decoded.waveform)
    duration_s = len(decoded.waveform) / SAMPLE_RATE_HZ
    reason = refusal(level, duration_s, wanted)
    if reason:
        raise Unreadable(reason)
    pcm = to_pcm(decoded.waveform)
    return Taken(
        id=pcm_id(pcm),
        flac=encode_flac(pcm),
        duration_s=duration_s,
        original_sample_rate_hz=decoded.original_sample_rate_hz,
        original_format=decoded.original_format,
        quality=level,
    )


def send(stream: BinaryIO, head: dict, body: bytes = b"") -> None:
    """Writes a message: two lengths, JSON, bytes."""
    text = json.dumps(head).encode()
    stream.write(_LENGTHS.pack(len(text), len(body)) + text + body)
    stream.flush()


def parse(data: bytes | bytearray) -> tuple[dict, bytes] | None:
    """The message that `data` is; None while there is more of it to come."""
    if len(data) < _LENGTHS.size:
        return None
    head, body = _LENGTHS.unpack_from(data)
    middle, end = _LENGTHS.size + head, _LENGTHS.size + head + body
    if len(data) < end:
        return None
    return json.loads(data[_LENGTHS.size : middle]), bytes(data[middle:end])


def receive(stream: BinaryIO) -> tuple[dict, bytes] | None:
    """The next message; None where the stream ends."""
    lengths = stream.read(_LENGTHS.size)
    return parse(lengths + stream.read(sum(_LENGTHS.unpack(lengths)))) if len(lengths) == _LENGTHS.size else None


def serve(wanted: QualitySettings, time_limit_s: float, memory_limit_mb: int, work: str = HERE) -> None:
    """Answers with what `work` (module:function) makes of each path, within limits, until standard input closes."""
    module, name = work.split(":")
    function = getattr(import_module(module), name)
    answers = os.fdopen(os.dup(1), "wb")
    # Decoders talk; what they say must not mix with answers.
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    _limit_memory(memory_limit_mb)
    send(answers, {})
    while request := receive(sys.stdin.buffer):
        # Left at its default, this signal ends the process even where a decoder never returns to Python.
        signal.setitimer(signal.ITIMER_REAL, time_limit_s + _GRACE_S)
        head, body = _answer(function, Path(os.fsdecode(request[1])), wanted)
        signal.setitimer(signal.ITIMER_REAL, 0)
        send(answers, head, body)


def _answer(function, path: Path, wanted: QualitySettings) -> tuple[dict, bytes]:
    try:
        fields = dict(vars(function(path, wanted)))
        return fields, fields.pop("flac")
    except Unreadable as problem:
        return {"reason": problem.reason}, b""
    except MemoryError:
        return {"reason": f"it cannot be decoded ({MEMORY})"}, b""


def _limit_memory(limit_mb: int) -> None:
    """Bounds the address space to what is in use now and `limit_mb` more, where the system says what is in use."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return
    limit = pages * resource.getpagesize() + limit_mb * 2**20
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (limit, most))


if __name__ == "__main__":
    options = json.loads(sys.argv[1])
    serve(QualitySettings(**options.pop("wanted")), **options)
