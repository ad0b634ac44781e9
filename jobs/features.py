"""The features of a corpus, computed once: by a frozen encoder, in this process or on Ray Data."""

import os
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import tyro

from jobs.console import Console
from jobs.exits import run_job
from jobs.options import value_of
from jobs.submitted import refuse_relative
from resp_agent.corpus.bulk import in_threads
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.schema import NO_SPLIT, SPLITS
from resp_agent.encoders.cache import Encoding, FeatureCache, Run
from resp_agent.settings import AudioSettings, EncoderSettings, preset
from resp_agent.settings.checks import refuse
from resp_agent.storage import local, shown
from resp_agent.threads import set_threads

TELL_EVERY_S = 2.0


@dataclass(frozen=True)
class FeaturesJob:
    """Computes what an encoder makes of all recordings of a corpus. What is there already is not computed again, so a
    job that was killed goes on by the same command.

    A curriculum finds the features if it is given the same encoder, and `--first F` where these went to F/features."""

    corpus: tyro.conf.Positional[str]
    """A corpus directory."""
    out: str
    """The folder of features; several corpora and encoders may share one."""
    preset: str = "tiny"
    """What gives every setting that no flag names."""
    unlabelled: bool = False
    """Also recordings of the split `none`, for pretraining."""
    units: bool = False
    """BEATs units instead of features; the weights are those of the tokenizer."""
    where: Literal["auto", "ray", "local"] = "auto"
    """Workers on Ray Data, or in this process; `auto` is Ray from 2,000 missing recordings on."""
    workers: int = os.cpu_count() or 1
    """Files of features that are computed at the same time; in this process a pretrained encoder computes one."""
    cpus: float = 0.5
    """CPUs that a worker reserves on Ray."""
    gpus: float = 0.0
    """GPUs that a worker reserves on Ray, for a pretrained encoder."""
    threads: int = 1
    """Threads of a worker; numbers depend on it in the last digits."""
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    audio: AudioSettings = field(default_factory=AudioSettings)

    def __post_init__(self):
        refuse(self.workers < 1, f"{self.workers} workers compute nothing: give --workers at least 1")
        refuse(self.threads < 1, f"{self.threads} threads cannot compute: give --threads at least 1")
        refuse(not self.cpus > 0, f"a worker cannot reserve {self.cpus} CPUs: give --cpus above 0")
        refuse(not self.gpus >= 0, f"a worker cannot reserve {self.gpus} GPUs: give --gpus at least 0")
        refuse(
            self.units and self.encoder.kind != "beats",
            f"the encoder {self.encoder.kind} has no units: give --encoder.kind beats, or leave out --units",
        )


def features(job: FeaturesJob) -> FeatureCache:
    """Computes what is missing, and says how much that is and where it lies.

    Raises:
        UserError: the corpus or the weights cannot be used.
        RunFailed: workers cannot go on; what they did is kept.
    """
    refuse_relative("CORPUS", job.corpus)
    refuse_relative("--out", job.out)
    console, corpus = Console(), Corpus.open(local(job.corpus).resolve())
    work = Encoding(job.encoder, job.audio, local(job.out).resolve(), job.threads, job.units)
    cache = work.cache()
    splits = (*SPLITS, NO_SPLIT) if job.unlabelled else SPLITS
    told = {one.id: one.duration_s for split in splits for one in corpus.descriptions(split)}
    missing = cache.missing(told)
    size = _estimated(cache, sum(told[one] for one in missing))
    console.say(f"{len(told):,} recordings, of which {len(missing):,} are missing: about {_bytes(size)}")
    cache.ensure(corpus, splits, _placed(job, work, cache, len(missing)), _Progress(console, size))
    held = sum(path.stat().st_size for path in cache.folder.glob("*.safetensors"))
    console.say(f"features {shown(cache.folder)} ({_bytes(held)})")
    return cache


def main(argv: Sequence[str] | None = None) -> int:
    """`resp-agent features` and `python -m jobs.features`; returns the exit code."""
    return run_job(lambda words: features(_parse(words)) and 0, argv)


def _parse(argv: list[str] | None) -> FeaturesJob:
    argv = list(sys.argv[1:] if argv is None else argv)
    name = value_of("--preset", argv) or "tiny"
    settings = preset(name)
    default = FeaturesJob(
        corpus=tyro.MISSING,
        out=tyro.MISSING,
        preset=name,
        threads=settings.threads,
        encoder=settings.diagnoser.encoder,
        audio=settings.audio,
    )
    return tyro.cli(FeaturesJob, args=argv, default=default, prog="resp-agent features")


def _placed(job: FeaturesJob, work: Encoding, cache: FeatureCache, missing: int) -> Run:
    """What maps parts where the job wants it."""

    def run(parts: Sequence[Path]) -> Iterable[int]:
        # Imported when needed: what is refused before any work knows no Ray.
        from jobs.bulk import WORTH_RAY, on_ray

        if job.where == "ray" or (job.where == "auto" and missing >= WORTH_RAY):
            return on_ray(job.workers, job.cpus, job.gpus)(work, parts)
        if work.heavy:
            # The model that told its fingerprint is the one that this process may have.
            set_threads(job.threads)
            return map(cache.add_part, parts)
        return in_threads(job.workers)(work, parts)

    return run


class _Progress:
    """Tells every some seconds, and at the end, how far the work is, how fast it goes and what it takes on disk."""

    def __init__(self, console: Console, size: float):
        self._console, self._size = console, size
        self._began = self._told = time.monotonic()

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done == total or now - self._told >= TELL_EVERY_S:
            self._told = now
            self._console.say(
                f"{what} {done:,} of {total:,} recordings, {done / (now - self._began):,.1f} a second, "
                f"{_bytes(self._size * done / total)} of about {_bytes(self._size)}"
            )


def _estimated(cache: FeatureCache, seconds: float) -> float:
    """Bytes that the features of so many seconds of audio take."""
    return seconds * 1000 / cache.encoder.frame_ms * cache.encoder.width * cache.dtype.itemsize


def _bytes(count: float) -> str:
    return f"{count / 1e9:,.2f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"


if __name__ == "__main__":
    sys.exit(main())
