"""Audio files made for tests: sound ones, and hostile ones."""

import struct
from pathlib import Path

import numpy as np
import soundfile

from resp_agent.randomness import stream


def tone(hz: float = 300.0, duration_s: float = 1.0, rate_hz: int = 16_000, amplitude: float = 0.3) -> np.ndarray:
    """A sine, (samples,) float32."""
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(round(duration_s * rate_hz)) / rate_hz)).astype(np.float32)


def noise(name: object, duration_s: float = 1.0, rate_hz: int = 16_000, amplitude: float = 0.05) -> np.ndarray:
    """White noise drawn from a name, (samples,) float32."""
    draws = stream("tests", "noise", name).standard_normal(round(duration_s * rate_hz))
    return (amplitude * draws).clip(-1, 1).astype(np.float32)


def header(
    rate_hz: int = 8_000, channels: int = 1, data_bytes: int = 0, bits: int = 16, tag: int = 1, parts: bytes = b""
) -> bytes:
    """A RIFF header up to its audio, saying whatever it is told."""
    frame = channels * bits // 8 % 65_536
    fmt = struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * frame % 2**32, frame, bits)
    body = b"WAVE" + parts + b"fmt " + struct.pack("<I", 16) + fmt + b"data" + struct.pack("<I", data_bytes)
    return b"RIFF" + struct.pack("<I", (len(body) + data_bytes) % 2**32) + body


def hostile(folder: Path) -> dict[str, tuple[Path, str]]:
    """Files that no decoder should be given, by what is wrong -> (path, a word of the reason)."""
    folder.mkdir(parents=True, exist_ok=True)
    sound = noise("hostile", rate_hz=8_000)

    def write(name: str, data: bytes) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    def floats(name: str, value: float) -> Path:
        waveform = sound.copy()
        waveform[100] = value
        soundfile.write(folder / name, waveform, 8_000, subtype="FLOAT")
        return folder / name

    soundfile.write(folder / "whole.flac", sound, 8_000)
    flac = (folder / "whole.flac").read_bytes()
    (folder / "whole.flac").unlink()
    soundfile.write(folder / "whole.wav", sound, 8_000)
    wave = (folder / "whole.wav").read_bytes()
    (folder / "whole.wav").unlink()
    (folder / "directory.wav").mkdir()
    (folder / "broken link.wav").symlink_to(folder / "nowhere.wav")
    many_parts = b"".join(b"junk" + struct.pack("<I", 0) for _ in range(3_000))
    endless = b"RF64" + b"\xff" * 4 + b"WAVEds64" + struct.pack("<IQQQI", 28, 2**63, 2**63 - 1, 2**63, 0)
    return {
        "empty": (write("empty.wav", b""), "empty"),
        "truncated": (write("truncated.wav", wave[: len(wave) // 2]), "truncated"),
        "truncated in its header": (write("stub.wav", wave[:30]), "truncated"),
        "truncated flac": (write("truncated.flac", flac[: len(flac) // 2]), ""),
        "text": (write("text.wav", b"patient has a cough\n" * 50), "known format"),
        "a picture in RIFF": (write("picture.wav", b"RIFF\x10\0\0\0WEBPVP8 " + bytes(64)), "another kind"),
        "0 Hz": (write("0 Hz.wav", header(rate_hz=0, data_bytes=800) + bytes(800)), "0 Hz"),
        "1 Hz": (write("1 Hz.wav", header(rate_hz=1, data_bytes=800) + bytes(800)), "1 Hz"),
        "4 GHz": (write("4 GHz.wav", header(rate_hz=2**32 - 1, data_bytes=800) + bytes(800)), "Hz"),
        "64 channels": (write("64.wav", header(channels=64, data_bytes=12_800) + bytes(12_800)), "64 channels"),
        "no channel": (write("0.wav", header(channels=0, data_bytes=800) + bytes(800)), "0 channels"),
        "no audio": (write("none.wav", header()), "no audio"),
        "no format": (write("formless.wav", b"RIFF\x10\0\0\0WAVEdata\x08\0\0\0" + bytes(8)), "does not say"),
        "many parts": (write("parts.wav", header(data_bytes=800, parts=many_parts) + bytes(800)), "parts"),
        "a part that never ends": (
            write("long.wav", b"RIFF\x10\0\0\0WAVEjunk\xff\xff\xff\xff" + bytes(64)),
            "truncated",
        ),
        "2^32 bytes claimed": (write("claims.wav", header(data_bytes=2**32 - 1) + bytes(64)), "truncated"),
        "2^63 bytes claimed": (
            write("endless.wav", endless + header(data_bytes=2**32 - 1)[12:] + bytes(64)),
            "truncated",
        ),
        "too long": (
            write("hours.wav", header(rate_hz=2_000, bits=8, data_bytes=2_000_000) + bytes(2_000_000)),
            "1000 s",
        ),
        "an unknown coding": (write("coding.wav", header(tag=0x7777, data_bytes=800) + bytes(800)), "decoded"),
        "random bytes as flac": (write("random.flac", b"fLaC" + sound.tobytes()), "decoded"),
        "random bytes as ogg": (write("random.ogg", b"OggS" + sound.tobytes()), "decoded"),
        "NaN": (floats("nan.wav", np.nan), "finite"),
        "infinite": (floats("inf.wav", np.inf), "finite"),
        "a directory": (folder / "directory.wav", "directory"),
        "a broken link": (folder / "broken link.wav", "link to nothing"),
        "missing": (folder / "missing.wav", "not exist"),
    }
