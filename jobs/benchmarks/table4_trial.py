"""A trial of table 4: the clips of one row on one seed, measured."""

import dataclasses
import json
import time
from dataclasses import dataclass
from pathlib import Path

from jobs.benchmarks.table4_clips import PROTOCOLS, Clips, cells_of, duplicates, real, swapped, vocoded
from jobs.benchmarks.table4_judge import JudgeSettings
from jobs.benchmarks.table4_yardsticks import Yardsticks
from resp_agent import __version__
from resp_agent.corpus.dataset import Corpus
from resp_agent.curriculum.beacon import Beacon
from resp_agent.curriculum.folders import Folders
from resp_agent.durable import write_atomic
from resp_agent.errors import RunFailed
from resp_agent.generator.synthesizer import Generator, make_generator
from resp_agent.generator.training import train_generator
from resp_agent.metrics.embeddings import Embedder
from resp_agent.settings import Settings, fingerprint
from resp_agent.storage import fetch
from resp_agent.threads import threads

REAL, VOCODED, DUPLICATES = "real", "vocoded", "duplicates"
"""Rows without a generator."""


@dataclass(frozen=True)
class Source:
    """A row: where clips come from."""

    title: str
    kind: str
    """Kind of generator, `real`, `vocoded` or `duplicates`."""


@dataclass(frozen=True)
class Trial:
    """What is tried, and where its result is kept."""

    settings: Settings
    source: Source
    corpus: Corpus
    judge: JudgeSettings
    embedder: Embedder
    count: int
    """Clips of each label and style."""
    folders: Folders

    @property
    def chosen(self) -> Settings:
        """The settings with the row's generator."""
        if self.source.kind in (REAL, VOCODED, DUPLICATES):
            return self.settings
        generator = dataclasses.replace(self.settings.generator, kind=self.source.kind)
        return dataclasses.replace(self.settings, generator=generator)

    @property
    def path(self) -> Path:
        """Where its result is, once there is one."""
        chosen, embedder = self.chosen, self.embedder
        # Neither real recordings nor duplicates depend on the generator; what the vocoder makes does.
        generator = None if self.source.kind in (REAL, DUPLICATES) else chosen.generator
        heard = self.corpus.fingerprint, embedder.name, embedder.fingerprint
        parts = chosen.audio, chosen.diagnoser, chosen.seed, chosen.threads, self.judge, self.count
        key = fingerprint(__version__, self.source.kind, generator, *heard, *parts)
        return self.folders.workspace / "table4-trials" / f"{key}.json"

    @property
    def result(self) -> dict | None:
        """What was found, if the trial is done."""
        return json.loads(self.path.read_text()) if fetch(self.path).is_file() else None

    def run(self, yardsticks: Yardsticks) -> dict:
        """Makes and measures clips of both protocols; the result is stored before it is returned.

        Raises:
            RunFailed: nothing can be swapped.
        """
        began = time.monotonic()
        with threads(self.settings.threads):
            checked = yardsticks.check()
            generator = self._generator(yardsticks)
            swaps = {protocol: self._measured(protocol, yardsticks, generator) for protocol in PROTOCOLS}
        result = {
            "title": self.source.title,
            "seed": self.settings.seed,
            "swaps": swaps,
            **checked,
            "seconds": round(time.monotonic() - began, 1),
        }
        write_atomic(self.path, json.dumps(result, indent=1).encode())
        return result

    def _generator(self, yardsticks: Yardsticks) -> Generator | None:
        chosen = self.chosen
        if chosen is self.settings:
            return None
        folder = self.folders.generator(chosen, self.corpus)
        train_generator(chosen, yardsticks.train, folder, Beacon(self.folders.progress, "generator-0"))
        return make_generator(chosen, yardsticks.train, folder)

    def _measured(self, protocol: str, yardsticks: Yardsticks, generator: Generator | None) -> dict:
        train, seed = yardsticks.train, self.settings.seed
        cells = cells_of(protocol, train, yardsticks.cells)
        if not cells:
            raise RunFailed(
                f"there is nothing for a {protocol}: no label of the held-out recordings was recorded in two styles of "
                "two patients; give a corpus with more of both"
            )
        if generator is not None:
            clips = swapped(generator, protocol, cells, self.count, seed, train)
        elif self.source.kind == REAL:
            clips = real(cells, yardsticks.valid, seed, train)
        elif self.source.kind == VOCODED:
            clips = vocoded(real(cells, yardsticks.valid, seed, train), self.settings, seed)
        else:
            clips = duplicates(cells, self.count, seed, train)
        return yardsticks.measure(_long_enough(clips, self.source.title, protocol), cells)


def _long_enough(clips: Clips, title: str, protocol: str) -> Clips:
    if len(clips.recordings) < 4:
        raise RunFailed(
            f"{title}: {len(clips.recordings)} recordings are too few to measure a {protocol}: give a larger --count, "
            "or a corpus with more recordings"
        )
    return clips
