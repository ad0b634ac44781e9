"""Synthesis as bulk work: each part is a request in a file, and becomes a shard that is named by its content."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from resp_agent.corpus.dataset import Corpus
from resp_agent.curriculum.beacon import Beacon
from resp_agent.curriculum.request import Request
from resp_agent.diagnoser.learner import Checkpoint
from resp_agent.durable import write_atomic
from resp_agent.errors import RunFailed
from resp_agent.generator.synthesizer import make_generator, write_clips
from resp_agent.settings import Settings, from_plain, to_plain
from resp_agent.threads import set_threads
from resp_agent.training.checkpoints import digests


def write_part(folder: Path, number: int, request: Request) -> Path:
    """A request as a file for a worker."""
    path = folder / f"{number:06d}.json"
    write_atomic(path, json.dumps(asdict(request)).encode())
    return path


@dataclass(frozen=True)
class Synthesis:
    """Implements `corpus.bulk.Work`: what a worker needs to make clips anywhere."""

    settings: str
    """Of the generator, as JSON: work must be hashable."""
    corpus: str
    """The corpus that the generator learned from."""
    generator: str
    """Folder of the trained generator."""
    out: str
    """Shards go to `synthetic` below it."""
    diagnoser: str = ""
    """Folder of the diagnoser that hard clips are hard for."""
    heavy: bool = True

    @classmethod
    def of(cls, settings: Settings, corpus: Path, generator: Path, out: Path, diagnoser: Path | None) -> "Synthesis":
        """From settings and paths."""
        plain = json.dumps(to_plain(settings))
        return cls(plain, str(corpus), str(generator), str(out), str(diagnoser or ""))

    def start(self) -> "Maker":
        """Loads the generator.

        Raises:
            RunFailed: it is not there.
        """
        return Maker(self)


class Maker:
    """Implements `corpus.bulk.Worker`."""

    def __init__(self, work: Synthesis):
        settings = from_plain(json.loads(work.settings))
        set_threads(settings.threads)
        self._out = Path(work.out)
        self._beacon = Beacon(self._out / "progress", f"synthesis-{os.getpid()}")
        self._beacon.at("loading generator")
        self._generator = make_generator(settings, Corpus.open(Path(work.corpus)).split("train"), Path(work.generator))
        if work.diagnoser:
            folder = Path(work.diagnoser)
            self._generator.listen(Checkpoint(str(folder), digests(folder)))

    def __call__(self, part: Path) -> int:
        """Makes the clips of a part, unless its shard is there; returns their number.

        Raises:
            RunFailed: the shard cannot be written.
        """
        request = Request(**json.loads(Path(part).read_text()))
        self._beacon.at("synthesizing", part=int(Path(part).stem))
        try:
            return len(write_clips(self._generator, request, self._out).clip_ids)
        except OSError as problem:
            raise RunFailed(
                f"clips cannot be written below {self._out} ({problem.strerror or problem}): make room there; what is "
                "made stays, and the same command makes the rest"
            ) from problem

    def close(self) -> None:
        """Nothing is kept open."""
