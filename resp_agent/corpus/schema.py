"""The one definition of a corpus row: a recording, or a clip that a model made.

`DIR/data/<split>/*.parquet` holds rows of `SCHEMA`; audio is 16 kHz mono FLAC in the Hugging Face Audio layout
(struct of bytes and path).
"""

import hashlib
import io
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import soundfile

SAMPLE_RATE_HZ = 16_000
SPLITS = ("train", "valid", "test")
NO_SPLIT = "none"
"""Where recordings of sources without a role lie: for pretraining, never trained on with labels and never scored."""
ALL_SPLITS = (*SPLITS, NO_SPLIT)

_EVENT = pa.struct([("start_s", pa.float64()), ("end_s", pa.float64()), ("kind", pa.string())])
_AUDIO = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_QUALITY = pa.struct([("peak_db", pa.float64()), ("rms_db", pa.float64()), ("clipped_share", pa.float64())])
_REQUEST = pa.struct(
    [
        ("label", pa.string()),
        ("style", pa.string()),
        ("count", pa.int64()),
        ("seed", pa.uint64()),
        ("content", pa.string()),
        ("hardness", pa.float64()),
        ("diagnoser", pa.string()),
        ("duration_s", pa.float64()),
        ("index", pa.int64()),
        ("generator", pa.string()),
        ("content_id", pa.string()),
        ("reference_id", pa.string()),
    ]
)

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("patient_id", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("source_label", pa.string(), nullable=False),
        pa.field("style", pa.string(), nullable=False),
        pa.field("events", pa.list_(_EVENT), nullable=False),
        pa.field("normal_breaths", pa.int64()),
        # Nullable to the letter only, because Hugging Face `datasets` knows its Audio no other way.
        pa.field("audio", _AUDIO),
        pa.field("duration_s", pa.float64(), nullable=False),
        pa.field("original_sample_rate_hz", pa.int64(), nullable=False),
        pa.field("original_format", pa.string()),
        pa.field("device", pa.string()),
        pa.field("site", pa.string()),
        pa.field("age_years", pa.float64()),
        pa.field("sex", pa.string()),
        pa.field("symptoms", pa.list_(pa.string()), nullable=False),
        pa.field("history", pa.list_(pa.string()), nullable=False),
        pa.field("narrative", pa.string(), nullable=False),
        pa.field("narrative_source", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("official_split", pa.string()),
        pa.field("quality", _QUALITY, nullable=False),
        pa.field("remarks", pa.list_(pa.string()), nullable=False),
        pa.field("request", _REQUEST),
    ],
    metadata={
        "resp_agent_schema": "4",
        "huggingface": '{"info": {"features": {"audio": {"sampling_rate": 16000, "_type": "Audio"}}}}',
    },
)

_LISTS = ("symptoms", "history", "remarks")

CYCLES_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("patient_id", pa.string(), nullable=False),
        pa.field("cycle", pa.int64(), nullable=False),
        pa.field("start_s", pa.float64(), nullable=False),
        pa.field("end_s", pa.float64(), nullable=False),
        pa.field("heard", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("official_split", pa.string()),
    ]
)
"""Rows of `cycles.parquet`: respiratory cycles of the recordings (`id`) whose source marks them, each `heard` as one of
`CYCLE_CLASSES`."""
CYCLE_CLASSES = ("normal", "crackle", "wheeze", "both")

SET_ASIDE_SCHEMA = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("source_label", pa.string()),
        pa.field("reason", pa.string(), nullable=False),
    ]
)
"""Rows of `excluded.parquet` and `quarantine.parquet`: what was found and not built, each with its reason."""


@dataclass(frozen=True)
class Event:
    """An adventitious sound from `start_s` to `end_s` seconds, of a kind of `taxonomy.EVENT_KINDS`."""

    start_s: float
    end_s: float
    kind: str


@dataclass(frozen=True)
class Cycle:
    """A breath from `start_s` to `end_s` seconds, heard as one of `CYCLE_CLASSES`."""

    start_s: float
    end_s: float
    heard: str


@dataclass(frozen=True)
class Recording:
    """One row with its audio decoded.

    `waveform` is float32 in [-1, 1], shape (samples,), at 16 kHz, exactly what 16-bit FLAC holds.
    """

    id: str
    source: str
    patient_id: str
    label: str
    source_label: str
    style: str
    waveform: np.ndarray = field(repr=False)
    original_sample_rate_hz: int
    narrative: str
    split: str
    events: tuple[Event, ...] = ()
    normal_breaths: int | None = None
    device: str | None = None
    site: str | None = None
    age_years: float | None = None
    sex: str | None = None
    symptoms: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    narrative_source: str = "template"
    official_split: str | None = None
    quality: dict[str, float] = field(default_factory=dict)
    original_format: str | None = None
    remarks: tuple[str, ...] = ()
    request: dict | None = None
    path: str | None = None

    @property
    def duration_s(self) -> float:
        """Seconds of audio."""
        return len(self.waveform) / SAMPLE_RATE_HZ


def to_pcm(waveform: np.ndarray) -> np.ndarray:
    """Float audio in [-1, 1] to 16-bit integers, rounded half to even and clipped."""
    # Times a power of two is exact at any precision.
    return np.clip(np.rint(np.asarray(waveform) * 32768), -32768, 32767).astype(np.int16)


def from_pcm(pcm: np.ndarray) -> np.ndarray:
    """16-bit integers to float32 in [-1, 1)."""
    return (pcm.astype(np.float32)) / 32768


def audio_id(waveform: np.ndarray) -> str:
    """The id of a recording: a hash of its decoded 16-bit audio, 32 hexadecimal digits."""
    return pcm_id(to_pcm(waveform))


def pcm_id(pcm: np.ndarray) -> str:
    """The same for audio that is 16-bit already."""
    return hashlib.blake2b(np.ascontiguousarray(pcm).data, digest_size=16).hexdigest()


def encode_flac(waveform: np.ndarray) -> bytes:
    """16 kHz mono 16-bit FLAC of audio, float or 16-bit already."""
    buffer = io.BytesIO()
    pcm = waveform if waveform.dtype == np.int16 else to_pcm(waveform)
    soundfile.write(buffer, pcm, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def decode_flac(data: bytes) -> np.ndarray:
    """The inverse of `encode_flac`: float32, shape (samples,)."""
    pcm, rate = soundfile.read(io.BytesIO(data), dtype="int16")
    if rate != SAMPLE_RATE_HZ or pcm.ndim != 1:
        raise ValueError(f"corpus audio must be {SAMPLE_RATE_HZ} Hz mono, this is {rate} Hz with shape {pcm.shape}")
    return from_pcm(pcm)


def to_table(recordings: list[Recording]) -> pa.Table:
    """Recordings as a table of `SCHEMA`, in their order."""
    return pa.Table.from_pylist([_row(recording) for recording in recordings], schema=SCHEMA)


def from_table(table: pa.Table) -> list[Recording]:
    """Rows of a table of `SCHEMA` as recordings.

    Raises:
        ValueError: a column is missing or of another type; the message names it.
    """
    for wanted in SCHEMA:
        if wanted.name not in table.column_names or table.schema.field(wanted.name).type != wanted.type:
            raise ValueError(f"column {wanted.name!r} of type {wanted.type} is missing: not a corpus of this schema")
    return [_recording(row) for row in table.select(SCHEMA.names).to_pylist()]


def _row(recording: Recording) -> dict:
    row = {name: getattr(recording, name) for name in SCHEMA.names if name != "audio"}
    row["events"] = [vars(event) for event in recording.events]
    for name in _LISTS:
        row[name] = list(row[name])
    row["audio"] = {"bytes": encode_flac(recording.waveform), "path": recording.path or f"{recording.id}.flac"}
    return row


def _recording(row: dict) -> Recording:
    audio = row.pop("audio")
    row.pop("duration_s")
    row["events"] = tuple(Event(**event) for event in row["events"])
    for name in _LISTS:
        row[name] = tuple(row[name])
    return Recording(waveform=decode_flac(audio["bytes"]), path=audio["path"], **row)
