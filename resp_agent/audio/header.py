"""What a file claims to be, checked before a decoder reads it."""

import stat
import struct
from pathlib import Path
from typing import BinaryIO

from resp_agent.settings import QualitySettings

SNDFILE = "sndfile"
FFMPEG = ("webm", "mp4", "amr", "asf", "aac")
"""Kinds of file that libsndfile does not read."""
_MOST_CHUNKS = 1_000
_MAGIC = (b"RIFF", b"RF64", b"fLaC", b"OggS", b"FORM", b"ID3")
_OGG_PAGE = 27 + 255 + 255 * 255
"""Bytes of the largest page (RFC 3533)."""
_UNKNOWN_LENGTH = 0xFFFFFFFF


class Unreadable(Exception):
    """A file cannot be decoded; `reason` is one short sentence without the file's name."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


def check_file(path: Path, wanted: QualitySettings) -> str:
    """The kind of an audio file, `SNDFILE` or one of `FFMPEG`, by its first bytes.

    Raises:
        Unreadable: it is no regular file, empty, of no known kind, or its header contradicts its size.
        OSError: it cannot be opened.
    """
    try:
        state = path.stat()
    except FileNotFoundError:
        raise Unreadable("it is a link to nothing" if path.is_symlink() else "it does not exist") from None
    if not stat.S_ISREG(state.st_mode):
        raise Unreadable("it is a directory" if stat.S_ISDIR(state.st_mode) else "it is not a regular file")
    size = state.st_size
    if size == 0:
        raise Unreadable("it is empty")
    with path.open("rb") as file:
        head = file.read(16)
        kind = _kind(head)
        if head[:4] in (b"RIFF", b"RF64"):
            if head[8:12] != b"WAVE":
                raise Unreadable("its header is of another kind of file than audio")
            file.seek(12)
            _check_wave(file, size, wanted)
        elif head[:4] == b"FORM" and int.from_bytes(head[4:8], "big") + 8 > size:
            raise Unreadable("its header claims more than it holds: it is truncated")
        elif head[:4] == b"OggS":
            _check_ogg(file, size)
    return kind


def check_claims(rate_hz: int, channels: int, frames: int | None, wanted: QualitySettings) -> None:
    """Refuses implausible figures of a header; `frames` is None where it does not say.

    Raises:
        Unreadable: sample rate, channels or length are none that a recording has.
    """
    low, high = wanted.lowest_rate_hz, wanted.highest_rate_hz
    if not low <= rate_hz <= high:
        raise Unreadable(f"its header claims {rate_hz} Hz ({low} to {high} Hz are plausible)")
    if not 1 <= channels <= wanted.most_channels:
        raise Unreadable(f"its header claims {channels} channels (1 to {wanted.most_channels} are plausible)")
    if frames is not None and frames < 1:
        raise Unreadable("it holds no audio")
    if frames is not None and frames > wanted.longest_s * rate_hz:
        raise Unreadable(
            f"its header claims {frames / rate_hz:.0f} s of audio (at most {wanted.longest_s:.0f} s are read)"
        )


def _kind(head: bytes) -> str:
    if head.startswith(_MAGIC):
        return SNDFILE
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        # The layer bits tell MPEG audio (mp3) from AAC, where they are 0.
        return "aac" if head[1] & 0x06 == 0 else SNDFILE
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "webm"
    if head[4:8] == b"ftyp":
        return "mp4"
    if head.startswith(b"#!AMR"):
        return "amr"
    if head.startswith(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"):
        return "asf"
    raise Unreadable("it is not audio of a known format")


def _check_ogg(file: BinaryIO, size: int) -> None:
    """Looks whether the last page is whole; a decoder ends without a word where a page is cut."""
    file.seek(max(0, size - _OGG_PAGE))
    tail = file.read(_OGG_PAGE)
    page = tail.rfind(b"OggS")
    parts = tail[page + 27 :]
    count = tail[page + 26] if page >= 0 and len(tail) > page + 26 else -1
    if count < 0 or len(parts) < count or len(parts) < count + sum(parts[:count]):
        raise Unreadable("its last page is not whole: it is truncated")


def _check_wave(file: BinaryIO, size: int, wanted: QualitySettings) -> None:
    """Walks the chunks up to the audio; libsndfile reads a truncated file as a shorter one, so lengths are compared."""
    long_length, described = None, False
    for _ in range(_MOST_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            raise Unreadable("it ends before its audio: it is truncated")
        name, length = struct.unpack("<4sI", head)
        if name == b"data":
            break
        body = file.read(min(length, 40))
        if name == b"fmt " and len(body) >= 16:
            _, channels, rate_hz = struct.unpack("<HHI", body[:8])
            described = True
            check_claims(rate_hz, channels, None, wanted)
        if name == b"ds64" and len(body) >= 16:
            long_length = struct.unpack("<Q", body[8:16])[0]
        file.seek(length - len(body) + length % 2, 1)
    else:
        raise Unreadable(f"its header has more than {_MOST_CHUNKS} parts")
    if not described:
        raise Unreadable("its header does not say what its audio is like")
    if length == _UNKNOWN_LENGTH and long_length is not None:
        length = long_length
    if length == 0:
        raise Unreadable("it holds no audio")
    held = size - file.tell()
    if length > held:
        raise Unreadable(f"its header claims {length} bytes of audio and it holds {held}: it is truncated")
