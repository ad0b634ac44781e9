"""An audio file of any rate and channel count to 16 kHz mono, or one sentence on why not.

What the file's header claims is checked before a decoder sees it. libsndfile decodes what it can; WebM and the like go
to FFmpeg through PyAV, where that is installed.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
import soxr

from resp_agent.audio import ffmpeg, header
from resp_agent.audio.header import Unreadable
from resp_agent.corpus.schema import SAMPLE_RATE_HZ
from resp_agent.settings import QualitySettings

MEMORY = "it needs more memory than --decoding.memory-limit-mb"
_MISLEADING = "File does not exist or is not a regular file"
"""What libsndfile says of an existing mp3 in which it finds no frame."""

__all__ = ["Decoded", "Unreadable", "decode"]


@dataclass(frozen=True)
class Decoded:
    """Decoded audio: `waveform` is float32, shape (samples,), 16 kHz, full scale 1."""

    waveform: np.ndarray = field(repr=False)
    original_sample_rate_hz: int
    original_format: str
    """Container and coding, such as `WAV PCM_24`."""


def decode(path: Path, wanted: QualitySettings | None = None) -> Decoded:
    """The audio of a file, channels averaged, resampled by soxr at quality HQ.

    Raises:
        Unreadable: it is no regular file, empty, truncated, of no known format, its header claims the absurd (0 Hz,
            more channels or seconds than `wanted` lets pass), or samples are not finite.
    """
    path, wanted = Path(path), wanted or QualitySettings()
    try:
        kind = header.check_file(path, wanted)
        samples, rate_hz, coding = (ffmpeg.read if kind in header.FFMPEG else _read)(path, wanted)
    except Unreadable:
        raise
    except Exception as problem:
        # Whatever a decoder of others stumbles over is about the file.
        raise Unreadable(f"it cannot be decoded ({_tell(problem)})") from None
    if not np.isfinite(samples).all():
        raise Unreadable("it holds samples that are not finite numbers")
    mono = samples.mean(axis=1, dtype=np.float32) if samples.shape[1] > 1 else samples[:, 0]
    waveform = mono if rate_hz == SAMPLE_RATE_HZ else soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ, quality="HQ")
    if not np.isfinite(waveform).all():
        raise Unreadable("its samples are too large to resample")
    return Decoded(np.ascontiguousarray(waveform, np.float32), rate_hz, coding)


def _read(path: Path, wanted: QualitySettings) -> tuple[np.ndarray, int, str]:
    # By descriptor, because a name need not be UTF-8.
    with path.open("rb") as raw, soundfile.SoundFile(raw.fileno(), closefd=False) as file:
        header.check_claims(file.samplerate, file.channels, file.frames, wanted)
        samples = file.read(file.frames, dtype="float32", always_2d=True)
        if len(samples) < file.frames:
            raise Unreadable(f"its header claims {file.frames} samples and it holds {len(samples)}: it is truncated")
        return samples, file.samplerate, f"{file.format} {file.subtype}"


def _tell(problem: Exception) -> str:
    """The decoder's own words without the path, which names the patient in some corpora."""
    words = getattr(problem, "error_string", None) or (problem.strerror if isinstance(problem, OSError) else None)
    if isinstance(problem, MemoryError):
        words = MEMORY
    if words and words.startswith(_MISLEADING):
        words = "no audio is found in it"
    return (words or type(problem).__name__).strip().rstrip(".")
