"""The feature cache: the encoder's own numbers, on disk, whole or not there, and never another encoder's."""

import multiprocessing
import time
from pathlib import Path

import numpy as np
import pytest

from resp_agent import durable
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.schema import SPLITS, Recording, audio_id, from_pcm, to_pcm
from resp_agent.corpus.write import write_corpus
from resp_agent.encoders import cache as module
from resp_agent.encoders.cache import FeatureCache, open_cache
from resp_agent.encoders.log_mel import LogMel
from resp_agent.errors import RunFailed
from resp_agent.randomness import stream
from resp_agent.settings import AudioSettings, EncoderSettings

FORK = multiprocessing.get_context("fork")


class Counting:
    """Frames of two numbers every 10 ms: which frame, and its loudest sample. Counts recordings."""

    width, frame_ms = 2, 10.0

    def __init__(self, fingerprint: str = "counting"):
        self.fingerprint, self.heard = fingerprint, 0

    def encode(self, waveforms):
        self.heard += len(waveforms)
        return [self._frames(waveform[: len(waveform) // 160 * 160].reshape(-1, 160)) for waveform in waveforms]

    def _frames(self, hops):
        return np.stack([np.arange(len(hops)), abs(hops).max(1)], axis=1).astype(np.float32)


class Units(Counting):
    """Whole numbers instead."""

    dtype = "int16"

    def _frames(self, hops):
        return np.rint(super()._frames(hops) * 900).astype(np.int64)


def recording(index: int, split: str = "train") -> Recording:
    rng = stream("cache", index)
    waveform = from_pcm(to_pcm(rng.uniform(-0.9, 0.9, rng.integers(100, 9_000))))
    known = dict(source="made up", label="asthma", source_label="asthma", style="bell", narrative="")
    return Recording(
        audio_id(waveform),
        patient_id=f"{index}",
        waveform=waveform,
        original_sample_rate_hz=16_000,
        split=split,
        **known,
    )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    recordings = [recording(index, ("train", "train", "train", "valid", "test")[index % 5]) for index in range(200)]
    return write_corpus(recordings, tmp_path_factory.mktemp("corpus") / "corpus")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def ids_of(corpus: Corpus, *splits: str) -> list[str]:
    return [one.id for split in splits for one in corpus.descriptions(split)]


def test_frames_are_what_the_encoder_gives_bit_for_bit(corpus, tmp_path):
    settings = EncoderSettings(), AudioSettings()
    open_cache(tmp_path, *settings).ensure(corpus, SPLITS)
    cache, encoder = open_cache(tmp_path, *settings), LogMel(settings[1])
    for split in SPLITS:
        for one in corpus.split(split):
            frames, own = cache.frames(one.id), encoder.encode([one.waveform])[0]
            assert (frames.dtype, frames.shape) == (own.dtype, own.shape)
            np.testing.assert_array_equal(frames, own)


def test_frames_are_views_of_a_file_that_cannot_be_written_to(tmp_path):
    cache = FeatureCache(tmp_path, Counting())
    cache.add(["a", "b"], [np.ones(1600, np.float32), np.ones(100, np.float32)])
    frames, base = cache.frames("a"), cache.frames("a")
    while base.base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)
    assert frames.flags.aligned
    with pytest.raises(ValueError, match="read-only"):
        frames[0] = 0
    assert cache.frames("b").shape == (0, 2)


def test_what_is_there_is_not_computed_again(corpus, tmp_path):
    first, told = Counting(), []
    cache = FeatureCache(tmp_path, first)
    assert cache.missing(ids_of(corpus, "valid")) == ids_of(corpus, "valid")
    cache.ensure(corpus, ("valid",), tell=lambda *what: told.append(what))
    assert told == [("features of", 40, 40)]
    assert cache.missing(ids_of(corpus, *SPLITS)) == ids_of(corpus, "train", "test")
    again = Counting()
    FeatureCache(tmp_path, again).ensure(corpus, SPLITS)
    FeatureCache(tmp_path, again).ensure(corpus, SPLITS)
    assert (first.heard, again.heard) == (40, 160)


def test_other_encoders_and_types_of_number_never_meet(corpus, tmp_path):
    one, other = FeatureCache(tmp_path, Counting("one")), FeatureCache(tmp_path, Counting("other"))
    half, units = FeatureCache(tmp_path, Counting("one"), "float16"), FeatureCache(tmp_path, Units("one"))
    caches, name = [one, other, half, units], ids_of(corpus, "valid")[0]
    for number, cache in enumerate(caches):
        for absent in caches[number:]:
            assert absent.missing([name]) == [name]
        cache.ensure(corpus, ("valid",))
    exact = one.frames(name)
    assert half.frames(name).dtype == np.float16
    np.testing.assert_array_equal(half.frames(name), exact.astype(np.float16))
    assert units.frames(name).dtype == np.int16
    np.testing.assert_array_equal(units.frames(name), np.rint(exact * 900))
    np.testing.assert_array_equal(units.encode([np.ones(160, np.float32)])[0], [[0, 900]])
    # A type that cannot hold an encoder's numbers is a mistake of whoever asks for it.
    with pytest.raises(TypeError, match="same_kind"):
        FeatureCache(tmp_path, Counting("third"), "int16").ensure(corpus, ("valid",))


def test_a_recording_that_is_missing_is_named(tmp_path):
    with pytest.raises(RunFailed, match="without recording 0815: compute them with `resp-agent features`"):
        FeatureCache(tmp_path, Counting()).frames("0815")


def test_what_does_not_arrive_is_told(corpus, tmp_path):
    with pytest.raises(RunFailed, match=r"the features of 40 recordings, .* did not arrive in .*: give a folder that"):
        FeatureCache(tmp_path, Counting()).ensure(corpus, ("valid",), run=lambda parts: [40])


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data[:5], lambda data: b"", lambda data: bytes(len(data))]
)
def test_a_damaged_file_counts_as_not_there_and_is_computed_again(corpus, tmp_path, damage):
    cache = FeatureCache(tmp_path, Counting())
    cache.ensure(corpus, SPLITS)
    whole = contents(tmp_path)
    victim = sorted(tmp_path.rglob("*.safetensors"))[1]
    victim.write_bytes(damage(victim.read_bytes()))
    lost = [one for one, place in cache._places.items() if place.path == victim]
    with pytest.raises(RunFailed, match=f"{victim.name} were damaged or removed: start again"):
        cache.frames(lost[0])
    again = FeatureCache(tmp_path, Counting())
    assert sorted(again.missing(ids_of(corpus, *SPLITS))) == sorted(lost)
    again.ensure(corpus, SPLITS)
    assert contents(tmp_path) == whole
    assert again.encoder.heard == len(lost)


def test_long_recordings_share_no_file(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FILE_S", 0.8)
    cache = FeatureCache(tmp_path, Counting())
    cache.ensure(corpus, ("train",))
    seconds = {one.id: one.duration_s for one in corpus.descriptions("train")}
    held: dict[Path, list[float]] = {}
    for one, place in cache._places.items():
        held.setdefault(place.path, []).append(seconds[one])
    assert len(held) > sum(seconds.values()) / 0.8
    assert max(map(sum, held.values())) <= 0.8
    assert cache.encoder.heard == len(seconds)


def test_memory_does_not_grow_with_the_corpus(tmp_path):
    """Of 120 MB of features, a process holds some files' while it computes them, and the pages that it looks at."""
    write_corpus((_long(index) for index in range(120)), tmp_path / "corpus")
    told = FORK.SimpleQueue()
    child = FORK.Process(target=_watch_memory, args=(tmp_path, told.put))
    child.start()
    growth_mb, features_mb = told.get()
    child.join()
    assert features_mb > 110
    assert growth_mb < 40


def _long(index: int) -> Recording:
    """Ten seconds, quiet, so that they are small in the corpus."""
    waveform = from_pcm(stream("long", index).integers(-2, 3, 160_000).astype(np.int16))
    return Recording(**{**vars(recording(index)), "waveform": waveform, "id": audio_id(waveform)})


class Wide(Counting):
    """256 numbers a frame: 1 MB in ten seconds."""

    width = 256

    def _frames(self, hops):
        return np.repeat(super()._frames(hops), 128, axis=1)


def _watch_memory(folder: Path, tell) -> None:
    module.FILE_S = 60.0
    corpus, cache = Corpus.open(folder / "corpus"), FeatureCache(folder, Wide())
    ids = ids_of(corpus, "train")
    before = _anonymous_mb()
    growth = []

    def watched(parts):
        for part in parts:
            yield cache.add_part(part)
            growth.append(_anonymous_mb() - before)

    cache.ensure(corpus, ("train",), watched)
    views = [cache.frames(one) for one in ids]
    assert sum(float(one.sum()) for one in views) > 0
    growth.append(_anonymous_mb() - before)
    tell((max(growth), sum(one.nbytes for one in views) / 1e6))


def _anonymous_mb() -> float:
    """Memory of this process that is no file's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1e3


class Slow(Counting):
    def encode(self, waveforms):
        time.sleep(0.05)
        return super().encode(waveforms)


def begin(corpus: Corpus, folder: Path) -> tuple:
    """A process that computes features and writes slowly; and how many recordings it encoded, at its end."""
    told = FORK.SimpleQueue()

    def compute():
        sync = durable.os.fsync

        def slowly(handle):
            time.sleep(0.05)
            sync(handle)

        durable.os.fsync = slowly
        cache = FeatureCache(folder, Slow())
        cache.ensure(Corpus.open(corpus.path), SPLITS)
        told.put(cache.encoder.heard)

    process = FORK.Process(target=compute)
    process.start()
    return process, told.get


def test_a_process_killed_while_it_writes_leaves_nothing_to_be_seen(corpus, tmp_path):
    FeatureCache(tmp_path / "whole", Counting()).ensure(corpus, SPLITS)
    whole, folder = contents(tmp_path / "whole"), tmp_path / "killed"
    for files in (0, 2):
        process, _ = begin(corpus, folder)
        deadline = time.monotonic() + 60
        # A file that is being written has a name of its own, with a dot before it.
        while not (list(folder.glob("*/.*")) and len(list(folder.glob("*/*.safetensors"))) >= files):
            assert process.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.001)
        process.kill()
        process.join()
        seen = [path.relative_to(folder).as_posix() for path in folder.glob("*/*.safetensors")]
        assert {name: contents(folder)[name] for name in seen}.items() < whole.items()
        left = FeatureCache(folder, Counting()).missing(ids_of(corpus, *SPLITS))
        assert left
    again = Counting()
    FeatureCache(folder, again).ensure(corpus, SPLITS)
    assert again.heard == len(left) < 200
    assert {name: data for name, data in contents(folder).items() if "/." not in name} == whole


def test_processes_side_by_side_share_the_work_and_agree(corpus, tmp_path):
    FeatureCache(tmp_path / "whole", Counting()).ensure(corpus, SPLITS)
    processes = [begin(corpus, tmp_path / "shared")]
    while not list(tmp_path.glob("shared/*/*.safetensors")):
        assert processes[0][0].is_alive()
        time.sleep(0.001)
    processes.append(begin(corpus, tmp_path / "shared"))
    heard = [end() for _, end in processes]
    for process, _ in processes:
        process.join()
    assert contents(tmp_path / "shared") == contents(tmp_path / "whole")
    assert 200 <= sum(heard) < 400


def test_every_process_has_an_order_of_its_own():
    parts = [Path(str(number)) for number in range(40)]
    orders = []
    for _ in range(2):
        told = FORK.SimpleQueue()
        child = FORK.Process(target=lambda put=told.put: put(module._own_order(parts)))
        child.start()
        orders.append(told.get())
        child.join()
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(parts)
