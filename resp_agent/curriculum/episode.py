"""The Lab, wherever its workers are: an episode's state around a place that synthesizes and a place that learns."""

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Protocol

from resp_agent.corpus.dataset import Corpus
from resp_agent.curriculum.assessment import Assessment
from resp_agent.curriculum.folders import Folders, found_in, name_in
from resp_agent.curriculum.request import Receipt, Request, Shard
from resp_agent.diagnoser.learner import Checkpoint, Lesson
from resp_agent.errors import UserError
from resp_agent.generator.refresh import Refresh, weakness_of
from resp_agent.logs import being_about, log
from resp_agent.settings import Settings
from resp_agent.storage import children, remove
from resp_agent.training.checkpoints import PROGRESS, digests, read_progress, verify
from resp_agent.training.engine import AVERAGED


class Studio(Protocol):
    """Where requests become clips."""

    def begin(self) -> None:
        """Starts training the generator if there is none; need not wait for it."""

    def synthesize(
        self, requests: list[Request], diagnoser: Checkpoint | None = None, generator: Checkpoint | None = None
    ) -> list[Shard]:
        """The clips of each request, in their order; trains first if need be. `diagnoser` is the one that hard clips
        are hard for, `generator` the refreshed one that makes them; None: the first-trained one."""

    def refresh(self, refresh: Refresh) -> Checkpoint:
        """See `refresh_generator`."""

    def close(self) -> None:
        """Lets go of workers."""


class School(Protocol):
    """Where the diagnoser learns."""

    def first_train(self, folder: str) -> Checkpoint:
        """See `Learner.first_train`."""

    def learn(self, lesson: Lesson) -> tuple[Checkpoint, Assessment]:
        """See `Learner.learn`."""

    def assess(self, checkpoint: Checkpoint) -> Assessment:
        """See `Learner.assess`."""

    def close(self) -> None:
        """Lets go of workers."""


class EpisodeLab:
    """Implements `Lab`. Everything that a round leaves is below the workspace, and named relative to it."""

    def __init__(self, settings: Settings, folders: Folders, corpus: Corpus, studio: Studio, school: School):
        self._folders, self._studio, self._school = folders, studio, school
        self.corpus = corpus
        self.labels, self.styles = corpus.labels, corpus.styles
        self.first_checkpoint = folders.diagnoser(settings, corpus)
        self._seed = settings.seed
        self._refresh_every = settings.curriculum.refresh_every
        self._round = 0
        self._shards: list[Shard] = []
        self._at: Checkpoint | None = None
        self._generator: Checkpoint | None = None
        self._assessment: Assessment | None = None

    @property
    def checkpoint(self) -> Path:
        """The folder of the diagnoser as it is now."""
        return Path(self._at.folder)

    def prepare(self, synthesis: bool = True) -> dict[str, float]:
        """Trains what is missing, both models at once where workers permit.

        Returns:
            Seconds by phase.
        """
        began = time.monotonic()
        if synthesis:
            self._studio.begin()
        if read_progress(self.first_checkpoint) is None:
            self._school.first_train(str(self.first_checkpoint))
        diagnoser = time.monotonic() - began
        if synthesis:
            self._studio.synthesize([])
        return {"diagnoser training": diagnoser, "generator training": time.monotonic() - began - diagnoser}

    def reset(self, seed: int) -> Assessment:
        self.prepare(synthesis=False)
        self._seed, self._round, self._shards, self._generator = seed, 0, [], None
        self._at = Checkpoint(str(self.first_checkpoint), digests(self.first_checkpoint))
        self._assessment = self._school.assess(self._at)
        return self._assessment

    def synthesize(self, requests: list[Request]) -> Receipt:
        for request in requests:
            if request.label not in self.labels or request.style not in self.styles:
                raise UserError(
                    f"the corpus has no {request.label!r} in style {request.style!r} to synthesize from: "
                    f"its labels are {', '.join(self.labels)}; its styles are {', '.join(self.styles)}"
                )
        # What a hard clip is depends on the diagnoser, so its weights are part of the request and of the clip's id.
        requests = [
            replace(request, diagnoser=self._at.digests[AVERAGED]) if request.hardness > 0 else request
            for request in requests
        ]
        shards = []
        if requests:
            with being_about(round=self._round + 1):
                self._refresh_if_due()
                shards = self._studio.synthesize(requests, self._at, self._generator)
        self._shards += shards
        return Receipt(tuple(shards))

    def learn(self) -> Assessment:
        self._round += 1
        folder = self._folders.checkpoints / f"round-{self._round:03d}"
        shards = tuple(str(self._folders.workspace / shard.path) for shard in self._shards)
        lesson = Lesson(self._seed, self._round, self._at, shards, str(folder))
        with being_about(round=self._round):
            self._at, self._assessment = self._school.learn(lesson)
            log("learned", valid_macro_f1=self._assessment.macro_f1, checkpoint=folder.name)
        # Two are kept: a round counts only once it is journalled, and until then the one before must stand.
        remove(folder.with_name(f"round-{self._round - 2:03d}"), PROGRESS)
        return self._assessment

    def save(self) -> dict:
        state = {
            "seed": self._seed,
            "round": self._round,
            "shards": [asdict(shard) for shard in self._shards],
            "checkpoint": self._named(self._at),
        }
        return state | ({"generator": self._named(self._generator)} if self._generator else {})

    def check(self, state: dict) -> None:
        """Looks whether the weights that a saved state names are what was written.

        Raises:
            CorruptCheckpoint: they are not.
        """
        for name in ("checkpoint", "generator"):
            if name in state:
                found = self._found(state[name])
                verify(Path(found.folder), found.digests)

    def restore(self, state: dict) -> Assessment:
        self._seed, self._round = state["seed"], state["round"]
        self._shards = [Shard(**{**shard, "clip_ids": tuple(shard["clip_ids"])}) for shard in state["shards"]]
        self._at = self._found(state["checkpoint"])
        self._generator = self._found(state["generator"]) if "generator" in state else None
        self._discard_unsaved()
        self._assessment = self._school.assess(self._at)
        return self._assessment

    def close(self) -> None:
        self._studio.close()
        self._school.close()

    def _refresh_if_due(self) -> None:
        """Before the first clips after every `refresh_every` rounds: the last round's clips are asked for already."""
        every, folder = self._refresh_every, self._folders.generators / f"round-{self._round:03d}"
        before = self._generator
        if not every or self._round == 0 or self._round % every or (before and before.folder == str(folder)):
            return
        task = Refresh(self._seed, self._round, weakness_of(self._assessment), before, str(folder))
        self._generator = self._studio.refresh(task)
        # The journal names the one before until the round is over.
        kept = {folder} | ({Path(before.folder)} if before else set())
        for path in children(self._folders.generators):
            if path not in kept:
                remove(path, PROGRESS)

    def _named(self, checkpoint: Checkpoint) -> dict:
        return {
            "folder": name_in(self._folders.workspace, Path(checkpoint.folder)),
            "digests": checkpoint.digests,
        }

    def _found(self, named: dict) -> Checkpoint:
        return Checkpoint(str(found_in(self._folders.workspace, named["folder"])), named["digests"])

    def _discard_unsaved(self) -> None:
        kept = {self._folders.workspace / shard.path for shard in self._shards}
        for path in children(self._folders.synthetic):
            if path not in kept:
                remove(path)
        # The one before stays, to go back to if this one turns out to be damaged.
        whole = {self._folders.checkpoints / f"round-{number:03d}" for number in (self._round - 1, self._round)}
        for path in children(self._folders.checkpoints):
            if path.name.startswith("round-") and path not in whole:
                remove(path, PROGRESS)
