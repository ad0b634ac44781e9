"""Audio that libsndfile does not read (WebM, MP4, AMR, WMA, AAC), through PyAV: the extra `av`."""

from pathlib import Path

import numpy as np

from resp_agent.audio.header import Unreadable, check_claims
from resp_agent.settings import QualitySettings

_HELD = 0.95
"""Share of the claimed duration that must be there; coders add and drop some at both ends."""


def read(path: Path, wanted: QualitySettings) -> tuple[np.ndarray, int, str]:
    """Samples of the first audio stream, float32 of shape (samples, channels), their rate in Hz, and the coding.

    Raises:
        Unreadable: PyAV is not installed, FFmpeg cannot decode it, there is no audio in it, or it is longer than
            `wanted` lets pass.
        OSError: it cannot be opened.
    """
    try:
        import av
    except ImportError:
        raise Unreadable("it needs PyAV to be decoded: pip install 'resp-agent-ray[av]'") from None
    try:
        with path.open("rb") as raw, av.open(raw, mode="r", metadata_errors="ignore") as container:
            return _samples(av, container, wanted)
    except av.error.FFmpegError as problem:
        raise Unreadable(f"it cannot be decoded ({(problem.strerror or type(problem).__name__).rstrip('.')})") from None


def _samples(av, container, wanted: QualitySettings) -> tuple[np.ndarray, int, str]:
    if not container.streams.audio:
        raise Unreadable("it holds no audio")
    stream = container.streams.audio[0]
    rate_hz, channels = stream.rate, stream.channels
    check_claims(rate_hz, channels, None, wanted)
    resampler = av.AudioResampler(format="fltp", layout=stream.layout.name, rate=rate_hz)
    parts, frames = [], 0
    for packet in container.demux(stream):
        for frame in packet.decode():
            for piece in resampler.resample(frame):
                parts.append(piece.to_ndarray())
                frames += piece.samples
                # As it goes, because a container need not say how long it is.
                check_claims(rate_hz, channels, frames, wanted)
    check_claims(rate_hz, channels, frames, wanted)
    claimed_s = (container.duration or 0) / 1e6
    if frames / rate_hz < _HELD * claimed_s:
        raise Unreadable(f"its header claims {claimed_s:.1f} s and it holds {frames / rate_hz:.1f} s: it is truncated")
    coding = f"{container.format.name.split(',')[0].upper()} {stream.codec_context.name.upper()}"
    return np.concatenate(parts, axis=1).T, rate_hz, coding
