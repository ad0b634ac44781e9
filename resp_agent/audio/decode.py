"""An audio file of any rate and channel count to 16 kHz mono, or one sentence on why not.

What the file's header claims is checked before a decoder sees it.
"""

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr

from resp_agent.audio.quality import HIGHEST_RATE_HZ, LONGEST_S, LOWEST_RATE_HZ
from resp_agent.corpus.schema import SAMPLE_RATE_HZ

MOST_CHANNELS = 8
"""More channels than any recorder of the field has."""
_MOST_CHUNKS = 1_000
_MAGIC = (b"RIFF", b"RF64", b"fLaC", b"OggS", b"FORM", b"ID3")
_UNKNOWN_LENGTH = 0xFFFFFFFF


class Unreadable(Exception):
    """A file cannot be decoded; `reason` is one short sentence without the file's name."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Decoded:
    """Decoded audio: `waveform` is float32, shape (samples,), 16 kHz, full scale 1."""

    waveform: np.ndarray = field(repr=False)
    original_sample_rate_hz: int


def decode(path: Path) -> Decoded:
    """The audio of a file (wav, flac, ogg, mp3, aiff), channels averaged, resampled by soxr at quality HQ.

    Raises:
        Unreadable: it is no regular file, empty, truncated, of no known format, its header claims the absurd (0 Hz,
            more than `MOST_CHANNELS` channels, more than `LONGEST_S` seconds), or samples are not finite.
    """
    path = Path(path)
    try:
        _check_file(path)
        samples, rate_hz = _read(path)
    except (soundfile.SoundFileError, OSError, RuntimeError, ValueError, TypeError, MemoryError) as problem:
        raise Unreadable(f"it cannot be decoded ({_tell(problem)})") from None
    if not np.isfinite(samples).all():
        raise Unreadable("it holds samples that are not finite numbers")
    mono = samples.mean(axis=1, dtype=np.float32) if samples.shape[1] > 1 else samples[:, 0]
    waveform = mono if rate_hz == SAMPLE_RATE_HZ else soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ, quality="HQ")
    if not np.isfinite(waveform).all():
        raise Unreadable("its samples are too large to resample")
    return Decoded(np.ascontiguousarray(waveform, np.float32), rate_hz)


def _check_file(path: Path) -> None:
    if path.is_symlink() and not path.exists():
        raise Unreadable("it is a link to nothing")
    if not path.exists():
        raise Unreadable("it does not exist")
    if not path.is_file():
        raise Unreadable("it is a directory" if path.is_dir() else "it is not a regular file")
    size = path.stat().st_size
    if size == 0:
        raise Unreadable("it is empty")
    with path.open("rb") as file:
        head = file.read(12)
        if not head.startswith(_MAGIC) and not (head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xE0 == 0xE0):
            raise Unreadable("it is not audio of a known format")
        if head[:4] in (b"RIFF", b"RF64"):
            if head[8:] != b"WAVE":
                raise Unreadable("its header is of another kind of file than audio")
            _check_wave(file, size)


def _check_wave(file: BinaryIO, size: int) -> None:
    """Walks the chunks up to the audio; libsndfile reads a truncated file as a shorter one, so lengths are compared."""
    long_length = frame_bytes = None
    for _ in range(_MOST_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            raise Unreadable("it ends before its audio: it is truncated")
        name, length = struct.unpack("<4sI", head)
        if name == b"data":
            break
        body = file.read(min(length, 40))
        if name == b"fmt " and len(body) >= 16:
            _, channels, rate_hz, _, frame_bytes, _ = struct.unpack("<HHIIHH", body[:16])
            _check_claims(rate_hz, channels, None)
        if name == b"ds64" and len(body) >= 16:
            long_length = struct.unpack("<Q", body[8:16])[0]
        file.seek(length - len(body) + length % 2, 1)
    else:
        raise Unreadable(f"its header has more than {_MOST_CHUNKS} parts")
    if frame_bytes is None:
        raise Unreadable("its header does not say what its audio is like")
    if length == _UNKNOWN_LENGTH and long_length is not None:
        length = long_length
    if length == 0:
        raise Unreadable("it holds no audio")
    held = size - file.tell()
    if length > held:
        raise Unreadable(f"its header claims {length} bytes of audio and it holds {held}: it is truncated")


def _check_claims(rate_hz: int, channels: int, frames: int | None) -> None:
    if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
        raise Unreadable(f"its header claims {rate_hz} Hz ({LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz are plausible)")
    if not 1 <= channels <= MOST_CHANNELS:
        raise Unreadable(f"its header claims {channels} channels (1 to {MOST_CHANNELS} are plausible)")
    if frames is not None and frames < 1:
        raise Unreadable("it holds no audio")
    if frames is not None and frames > LONGEST_S * rate_hz:
        raise Unreadable(f"its header claims {frames / rate_hz:.0f} s of audio (at most {LONGEST_S:.0f} s are read)")


def _read(path: Path) -> tuple[np.ndarray, int]:
    # By descriptor, because a name need not be UTF-8.
    with path.open("rb") as raw, soundfile.SoundFile(raw.fileno(), closefd=False) as file:
        _check_claims(file.samplerate, file.channels, file.frames)
        samples = file.read(file.frames, dtype="float32", always_2d=True)
        if len(samples) < file.frames:
            raise Unreadable(f"its header claims {file.frames} samples and it holds {len(samples)}: it is truncated")
        return samples, file.samplerate


def _tell(problem: Exception) -> str:
    """The decoder's own words without the path, which names the patient in some corpora."""
    words = getattr(problem, "error_string", None) or (problem.strerror if isinstance(problem, OSError) else None)
    return (words or type(problem).__name__).strip().rstrip(".")
