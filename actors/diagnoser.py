"""The diagnoser's gang: ranks that live, learn and, if one dies, are rebuilt together."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayActorError, RayTaskError

from actors.cluster import release, reserve, within
from actors.failures import unwrapped
from actors.metrics import count
from resp_agent.curriculum.assessment import Assessment
from resp_agent.curriculum.beacon import Beacon
from resp_agent.curriculum.folders import Folders
from resp_agent.diagnoser.learner import Checkpoint, Learner, Lesson
from resp_agent.errors import RunFailed, UserError
from resp_agent.logs import about, being_about, log
from resp_agent.settings import Placement, Settings
from resp_agent.threads import set_threads
from resp_agent.training.distributed import free_port

REBUILDS = 5
"""Times in a row that a gang is rebuilt for one task before the run gives up."""
DEATH_S = 20.0
"""Time in which Ray tells that a rank died, once another rank has failed without it."""


@ray.remote(max_restarts=0)
class DiagnoserWorker:
    """One rank. The gang restarts as a whole, never a rank alone."""

    def address(self) -> tuple[str, int]:
        """Where the ranks can meet on this node."""
        return ray.util.get_node_ip_address(), free_port()

    def join(
        self, settings: Settings, corpus: Path, folders: Folders, rank: int, world: int, address: tuple[str, int]
    ) -> None:
        """Joins the gang and builds the engine."""
        set_threads(settings.threads)
        os.environ.update(
            RANK=str(rank), LOCAL_RANK="0", WORLD_SIZE=str(world), MASTER_ADDR=address[0], MASTER_PORT=str(address[1])
        )
        self._run, self._rank = folders.workspace.name, rank
        beacon = Beacon(folders.progress, f"diagnoser-{rank}")
        self._learner = Learner(settings, corpus, beacon, folders.features)

    def call(self, method: str, argument: Any, about: dict | None = None) -> Any:
        """Forwards to `Learner`. `about` is for its log."""
        began = time.monotonic()
        result = getattr(self._learner, method)(argument)
        with being_about(**about or {}):
            log("task done", task=method, rank=self._rank, seconds=round(time.monotonic() - began, 3))
        if self._rank == 0 and method != "assess":
            count("resp_learning_seconds", self._run, time.monotonic() - began)
        return result


class Gang:
    """Implements `School` on K ranks in one placement group. Every task is whole in itself, so it can be done again."""

    def __init__(
        self,
        settings: Settings,
        place: Placement,
        corpus: Path,
        folders: Folders,
        make_room: Callable[[], bool] = lambda: False,
    ):
        """`make_room` gives something up where the ranks find no place; see `reserve`."""
        self._settings, self._place, self._corpus, self._folders = settings, place, corpus, folders
        self._make_room = make_room
        self._ranks: list = []
        self._group = None

    def first_train(self, folder: str) -> Checkpoint:
        return self._together("first_train", folder)

    def learn(self, lesson: Lesson) -> tuple[Checkpoint, Assessment]:
        return self._together("learn", lesson)

    def assess(self, checkpoint: Checkpoint) -> Assessment:
        return self._together("assess", checkpoint)

    def close(self) -> None:
        """Ends the ranks and gives their place back."""
        self._disband()

    def _together(self, method: str, argument: Any) -> Any:
        for _ in range(REBUILDS):
            try:
                with unwrapped():
                    if not self._ranks:
                        self._assemble()
                    return _all([rank.call.remote(method, argument, about()) for rank in self._ranks])[0]
            except RayActorError:
                # The others wait in a collective for the one that died.
                log("ranks lost", task=method)
                count("resp_restarts", self._folders.workspace.name, len(self._ranks))
                self._disband()
        raise RunFailed(
            f"the diagnoser's gang died {REBUILDS} times in {method!r}: see the workers' logs; "
            "--resume goes on from the last round"
        )

    def _assemble(self) -> None:
        place = self._place
        if self._group is None:
            self._group = reserve(
                place.diagnoser_workers,
                place.diagnoser_cpus,
                place.diagnoser_gpus,
                "PACK",
                place.placement_timeout_s,
                "diagnoser workers",
                make_room=self._make_room,
            )
        self._ranks = [
            DiagnoserWorker.options(
                num_cpus=place.diagnoser_cpus,
                num_gpus=place.diagnoser_gpus,
                scheduling_strategy=within(self._group, number),
            ).remote()
            for number in range(place.diagnoser_workers)
        ]
        address = ray.get(self._ranks[0].address.remote())
        common = (self._settings, self._corpus, self._folders)
        _all([rank.join.remote(*common, number, len(self._ranks), address) for number, rank in enumerate(self._ranks)])

    def _disband(self) -> None:
        for rank in self._ranks:
            ray.kill(rank)
        self._ranks = []
        # A place on a node that is gone comes back only where there is room; a new one is waited for, and asked for.
        release(self._group)
        self._group = None


def _all(references: list) -> list:
    """Results of all, or the first failure as soon as there is one; a rank's death comes before what it did to others.

    Ranks that lose one in a collective fail too, and may say so before Ray tells that it died.
    """
    waiting = list(references)
    while waiting:
        done, waiting = ray.wait(waiting)
        try:
            ray.get(done)
        except RayTaskError as error:
            if not isinstance(error.cause, (UserError, RunFailed)):
                _raise_death(waiting)
            raise
    return ray.get(references)


def _raise_death(references: list) -> None:
    """Raises RayActorError if one of the ranks turns out to be dead within `DEATH_S`."""
    for reference in ray.wait(references, num_returns=len(references), timeout=DEATH_S)[0] if references else []:
        try:
            ray.get(reference)
        except RayTaskError:
            continue
