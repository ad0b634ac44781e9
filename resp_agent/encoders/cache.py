"""Features that are computed once: memory-mapped files named by content, for all processes that see their folder.

`<folder>/<encoder fingerprint>-<type of number>/<digest of ids>.safetensors` holds the frames of some recordings, a
tensor each, named by the recording's id. Another encoder, or other weights, write under another name, so nothing can be
stale. A file is whole or not there and has the same bytes whoever wrote it, so nobody needs to agree on who computes
what; one that was damaged since counts as not there and is computed again.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from safetensors.numpy import save

from resp_agent.corpus.bulk import Progress
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.schema import decode_flac
from resp_agent.durable import write_atomic
from resp_agent.encoders import AudioEncoder, make_encoder
from resp_agent.errors import RunFailed
from resp_agent.randomness import digest, stream
from resp_agent.settings import AudioSettings, EncoderSettings
from resp_agent.storage import fetch
from resp_agent.threads import set_threads

FILE_S = 600.0
"""Seconds of audio from which on another file is begun. Bounds what a worker holds: BEATs base makes 92 MB of them."""

Run = Callable[[Sequence[Path]], Iterable[int]]
"""Maps parts by `FeatureCache.add_part` somewhere, in any order, and gives what it returns for each."""


@dataclass(frozen=True)
class _Place:
    """Where the frames of a recording lie."""

    path: Path
    start: int
    """First byte."""
    end: int
    shape: tuple[int, ...]


class FeatureCache:
    """What one encoder made of recordings, below a folder."""

    def __init__(self, folder: Path, encoder: AudioEncoder, dtype: str | None = None):
        """`dtype` is the type of number that is kept: by default the encoder's `dtype`, float32 if it has none."""
        self.encoder = encoder
        self.dtype = np.dtype(dtype or getattr(encoder, "dtype", "float32"))
        self.folder = Path(folder) / f"{encoder.fingerprint}-{self.dtype}"
        self._places: dict[str, _Place] = {}
        self._known: set[str] = set()
        self._maps: dict[Path, np.memmap] = {}

    def missing(self, ids: Iterable[str]) -> list[str]:
        """Those that nobody has computed yet, in their order."""
        lacking = [one for one in ids if one not in self._places]
        if not lacking:
            return []
        for path in sorted(fetch(self.folder, prune=False).glob("*.safetensors")):
            self._holds(path)
        return [one for one in lacking if one not in self._places]

    def encode(self, waveforms: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Frames of (samples,) waveforms as they would be kept, (T, D) each; nothing is kept."""
        return [one.astype(self.dtype, casting="same_kind", copy=False) for one in self.encoder.encode(waveforms)]

    def add(self, ids: Sequence[str], waveforms: Sequence[np.ndarray]) -> None:
        """Maps one batch: computes the frames of recordings and keeps them in a file."""
        frames = dict(zip(ids, map(np.ascontiguousarray, self.encode(waveforms)), strict=True))
        path = self._file(ids)
        write_atomic(path, save(frames))
        self._holds(path)

    def frames(self, recording: str) -> np.ndarray:
        """The (T, D) frames of a recording's id: a read-only view of the file, from which only what is used is read.

        Raises:
            RunFailed: it was not computed, or its file was damaged since.
        """
        if self.missing([recording]):
            raise RunFailed(
                f"the features in {self.folder} are without recording {recording}: compute them with "
                "`resp-agent features`, or start again"
            )
        place = self._places[recording]
        if place.path not in self._maps:
            if not _entries(place.path):
                raise RunFailed(f"the features {place.path} were damaged or removed: start again to compute them anew")
            self._maps[place.path] = np.memmap(place.path, np.uint8, "r")
        # A plain array, because a `memmap` keeps books at every slice.
        return np.asarray(self._maps[place.path])[place.start : place.end].view(self.dtype).reshape(place.shape)

    def ensure(
        self,
        corpus: Corpus,
        splits: Sequence[str],
        run: Run | None = None,
        tell: Progress | None = None,
    ) -> None:
        """Computes what is missing of some splits, a file's audio in memory at a time.

        Args:
            run: where it happens; by default here.
            tell: told how many recordings are done.

        Raises:
            RunFailed: something is missing still.
        """
        ids = [one for split in splits for one in corpus.table(split, ["id"])["id"].to_pylist()]
        wanted = set(self.missing(ids))
        if not wanted:
            return
        parts = _parts(corpus, splits, wanted)
        done, total = 0, sum(parts.values())
        for count in (run or self._run)(_own_order(list(parts))):
            done += count
            if tell:
                tell("features of", done, total)
        left = self.missing(ids)
        if left:
            raise RunFailed(
                f"the features of {len(left)} recordings, {left[0]} among them, did not arrive in {self.folder}: "
                "give a folder that every node reads and writes"
            )

    def add_part(self, part: Path) -> int:
        """Computes what is missing of a part, `<corpus file>/<number of a row group>`.

        Returns:
            The number of its recordings, computed now or before.
        """
        with pq.ParquetFile(fetch(part.parent)) as file:
            group = int(part.name)
            rows = file.read_row_group(group, columns=["id", "duration_s"]).to_pydict()
            ids, audio = rows["id"], None
            for start, end in _files(rows["duration_s"]):
                # Somebody else may have been here since the part was found to be missing.
                if _entries(self._file(ids[start:end])):
                    continue
                if audio is None:
                    audio = file.read_row_group(group, columns=["audio"])["audio"]
                self.add(ids[start:end], [decode_flac(one["bytes"].as_py()) for one in audio[start:end]])
        return len(ids)

    def _run(self, parts: Sequence[Path]) -> Iterator[int]:
        return map(self.add_part, parts)

    def _file(self, ids: Sequence[str]) -> Path:
        return self.folder / f"{digest(*ids)}.safetensors"

    def _holds(self, path: Path) -> bool:
        """Whether a file is there and whole; if so, where in it things lie is known from now on."""
        if path.name not in self._known:
            entries = _entries(path)
            if not entries:
                return False
            for name, place in entries.items():
                self._places.setdefault(name, place)
            self._known.add(path.name)
        return True


@dataclass(frozen=True)
class Encoding:
    """The work of computing features, as plain data: workers of `corpus.bulk.Runner` do it anywhere."""

    encoder: EncoderSettings
    audio: AudioSettings
    folder: Path
    """What a `FeatureCache` is opened on."""
    threads: int = 1
    """Of a worker; numbers depend on it in the last digits."""
    units: bool = False
    """BEATs units instead of features."""

    @property
    def heavy(self) -> bool:
        """Whether the encoder is a model."""
        return self.encoder.kind != "log-mel"

    def cache(self) -> FeatureCache:
        """The cache of these settings; see `open_cache`."""
        if self.units:
            # Imported when needed: log-mel does without.
            from resp_agent.encoders.beats import BeatsUnits

            tokenizer = BeatsUnits.from_weights(self.encoder.weights, self.encoder.window_s, self.encoder.shifts)
            return FeatureCache(self.folder, tokenizer)
        return open_cache(self.folder, self.encoder, self.audio)

    def start(self) -> "Mapper":
        """A worker with an encoder of its own."""
        set_threads(self.threads)
        return Mapper(self.cache())


class Mapper:
    """A worker of `Encoding`."""

    def __init__(self, cache: FeatureCache):
        self._cache = cache

    def __call__(self, part: Path) -> int:
        """See `FeatureCache.add_part`."""
        return self._cache.add_part(part)

    def close(self) -> None:
        """Nothing to let go of but memory."""


def open_cache(folder: Path, encoder: EncoderSettings, audio: AudioSettings) -> FeatureCache:
    """The cache in a folder for the encoder that the settings name.

    Raises:
        UserError: the encoder's weights are not there or not its own.
    """
    return FeatureCache(folder, make_encoder(encoder, audio), encoder.precision)


def _entries(path: Path) -> dict[str, _Place]:
    """Where in a safetensors file each recording's frames lie; nothing where the file is absent or not whole."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if length <= size else {}
    except (FileNotFoundError, ValueError):
        return {}
    begin = 8 + length
    places = {
        name: _Place(path, *(begin + offset for offset in entry["data_offsets"]), tuple(entry["shape"]))
        for name, entry in header.items()
    }
    return places if size == max((place.end for place in places.values()), default=0) else {}


def _parts(corpus: Corpus, splits: Sequence[str], wanted: set[str]) -> dict[Path, int]:
    """Parts that hold one of the wanted ids, with the number of their recordings."""
    found = {}
    for path in [path for split in splits for path in corpus.files(split)]:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                ids = file.read_row_group(group, columns=["id"])["id"].to_pylist()
                if not wanted.isdisjoint(ids):
                    found[path / str(group)] = len(ids)
    return found


def _files(durations_s: Sequence[float]) -> Iterator[tuple[int, int]]:
    """Consecutive rows, [start, end), that together last `FILE_S` or are one."""
    start, lasting = 0, 0.0
    for row, duration in enumerate(durations_s):
        if row > start and lasting + duration > FILE_S:
            yield start, row
            start, lasting = row, 0.0
        lasting += duration
    if durations_s:
        yield start, len(durations_s)


def _own_order(parts: list[Path]) -> list[Path]:
    """Parts in an order that other processes do not share: those side by side seldom compute the same one."""
    order = stream("parts", os.uname().nodename, os.getpid()).permutation(len(parts))
    return [parts[index] for index in order]
