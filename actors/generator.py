"""Generator workers: train once, then many workers synthesize."""

from pathlib import Path

import ray
from ray.actor import ActorHandle

from actors.cluster import borrowed, release, reserve, shortage, within
from actors.failures import unwrapped
from actors.metrics import count, show
from actors.pool import Call, Pool
from resp_agent.corpus.dataset import Corpus
from resp_agent.curriculum.beacon import Beacon
from resp_agent.curriculum.folders import Folders
from resp_agent.curriculum.local import LocalStudio
from resp_agent.curriculum.request import Request, Shard
from resp_agent.diagnoser.learner import Checkpoint
from resp_agent.generator.refresh import Refresh
from resp_agent.generator.training import train_generator
from resp_agent.logs import about, being_about
from resp_agent.settings import Placement, Settings
from resp_agent.threads import set_threads


# One call a process: what it joined and allocated ends with it, and no later actor inherits its process group.
@ray.remote(max_retries=-1, max_calls=1)
def train(settings: Settings, corpus: Path, folder: Path, progress: Path) -> None:
    """Trains the generator into its folder. A killed training is retried and goes on from its last checkpoint."""
    set_threads(settings.threads)
    train_generator(settings, Corpus.open(corpus).split("train"), folder, Beacon(progress, "generator-training"))


# The pool replaces one that is lost, by one that may be elsewhere.
@ray.remote(max_restarts=0, max_task_retries=0)
class GeneratorWorker:
    """Holds a trained generator. Stateless but for weights, so any other one can take its place.

    Which weights is told with every call: a worker that has just come is never behind the others.
    """

    def __init__(self, settings: Settings, corpus: Path, folder: Path, folders: Folders, number: int):
        set_threads(settings.threads)
        self._run = folders.workspace.name
        beacon = Beacon(folders.progress, f"generator-{number}")
        self._studio = LocalStudio(settings, corpus, folder, folders.workspace, beacon)

    def make(
        self,
        requests: list[Request],
        diagnoser: Checkpoint | None = None,
        generator: Checkpoint | None = None,
        about: dict | None = None,
    ) -> list[Shard]:
        """See `LocalStudio.synthesize`; with no request it loads the generator. `about` is for its log."""
        with being_about(**about or {}):
            shards = self._studio.synthesize(requests, diagnoser, generator)
        count("resp_clips_synthesized", self._run, sum(len(shard.clip_ids) for shard in shards))
        count("resp_synthesis_seconds", self._run, sum(shard.cost_s for shard in shards))
        return shards

    def refresh(self, refresh: Refresh) -> Checkpoint:
        """See `LocalStudio.refresh`. A killed one is done again and goes on from its last checkpoint."""
        return self._studio.refresh(refresh)


class RayStudio:
    """Generator workers, as many as there is room for: a request goes to whichever is free."""

    def __init__(self, settings: Settings, place: Placement, corpus: Path, folder: Path, folders: Folders):
        self._settings, self._place = settings, place
        self._corpus, self._folder, self._folders = corpus, folder, folders
        self._training = None
        self._pool: Pool | None = None
        self._group = None

    def begin(self) -> None:
        """Starts training beside whatever else runs, in a place that a worker takes afterwards."""
        if self._training is not None:
            return
        place = self._place
        self._group = reserve(1, *self._amounts, "PACK", place.placement_timeout_s, "a generator worker")
        self._training = train.options(**self._reserved(within(self._group))).remote(
            self._settings, self._corpus, self._folder, self._folders.progress
        )

    def synthesize(
        self,
        requests: list[Request],
        diagnoser: Checkpoint | None = None,
        generator: Checkpoint | None = None,
        at_once: int | None = None,
    ) -> list[Shard]:
        """Each request's shards, in the order of the requests, however they were shared out; at most `at_once` are made
        at the same time."""
        made = self._done(
            lambda worker, request: worker.make.remote([request], diagnoser, generator, about()), requests, at_once
        )
        return [shard for shards in made for shard in shards]

    def refresh(self, refresh: Refresh) -> Checkpoint:
        """The generator refreshed by one of the workers, while the others wait."""
        return self._done(lambda worker, one: worker.refresh.remote(one), [refresh])[0]

    def yield_room(self) -> bool:
        """Gives up a worker for something that cannot be placed otherwise; False: there is none."""
        return self._pool is not None and self._pool.shrink()

    def close(self) -> None:
        """Ends the workers."""
        if self._pool:
            self._pool.close()
        release(self._group)
        self._pool = self._group = self._training = None

    def _done(self, call: Call, items: list, at_once: int | None = None) -> list:
        """What comes of each item, in their order."""
        run, results = self._folders.workspace.name, {}
        with unwrapped():
            pool = self._open()
            lost = pool.lost
            show("resp_queue", run, len(items))
            for index, result in pool.map(call, items, self._place.placement_timeout_s, self._short, at_once):
                results[index] = result
                show("resp_queue", run, len(items) - len(results))
                show("resp_generators", run, pool.placed)
                count("resp_restarts", run, pool.lost - lost)
                lost = pool.lost
        return [results[index] for index in range(len(items))]

    def _open(self) -> Pool:
        if self._pool is None:
            self.begin()
            ray.get(self._training)
            release(self._group)
            # What a search's trial has reserved stays; elsewhere each worker looks for a place by itself.
            own = borrowed()
            strategy = within(own) if own else "SPREAD"
            arguments = (self._settings, self._corpus, self._folder, self._folders)

            def make(number: int) -> ActorHandle:
                return GeneratorWorker.options(**self._reserved(strategy)).remote(*arguments, number)

            # More workers than requests would never have anything to do.
            most = min(self._place.generators, self._settings.curriculum.requests_per_round)
            pool = Pool(make, lambda worker: worker.make.remote([]), most)
            pool.open(self._place.placement_timeout_s, self._short)
            self._pool = pool
        return self._pool

    def _short(self) -> str:
        return shortage(1, *self._amounts, "a generator worker", self._place.placement_timeout_s)

    @property
    def _amounts(self) -> tuple[float, float]:
        return self._place.generator_cpus, self._place.generator_gpus

    def _reserved(self, strategy) -> dict:
        cpus, gpus = self._amounts
        return {"num_cpus": cpus, "num_gpus": gpus, "scheduling_strategy": strategy}
