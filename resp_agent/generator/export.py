"""Files to listen to: one for each clip of a shard, by label and style."""

import io
from pathlib import Path
from typing import Literal

import pyarrow.parquet as pq
import soundfile

from resp_agent.durable import write_atomic

Export = Literal["none", "flac", "wav"]
CLIPS = "clips"


def clip_file(label: str, style: str, clip_id: str, kind: Export) -> Path:
    """Where the file of a clip lies, relative to the folder of its set."""
    return Path(CLIPS, _name(label), _name(style), f"{clip_id}.{kind}")


def export_shard(shard: Path, out: Path, kind: Export) -> None:
    """Writes a 16-bit, 16 kHz mono file for every clip of a shard that has none yet; nothing if `kind` is `none`."""
    if kind == "none":
        return
    for row in pq.read_table(shard, columns=["id", "label", "style", "audio"]).to_pylist():
        path = out / clip_file(row["label"], row["style"], row["id"], kind)
        if not path.is_file():
            write_atomic(path, _encoded(row["audio"]["bytes"], kind))


def _encoded(flac: bytes, kind: Export) -> bytes:
    # Shards hold FLAC.
    if kind == "flac":
        return flac
    pcm, rate = soundfile.read(io.BytesIO(flac), dtype="int16")
    held = io.BytesIO()
    soundfile.write(held, pcm, rate, format="WAV", subtype="PCM_16")
    return held.getvalue()


def _name(text: str) -> str:
    """A label or style as a folder's name."""
    return "".join(letter if letter.isalnum() or letter in "-_+" else "_" for letter in text)
