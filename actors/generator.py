"""Generator workers: train once, then many workers synthesize."""

from pathlib import Path

import ray
from ray.util import ActorPool

from actors.cluster import release, reserve, within
from actors.failures import unwrapped
from actors.metrics import count, show
from resp_agent.corpus.dataset import Corpus
from resp_agent.curriculum.beacon import Beacon
from resp_agent.curriculum.folders import Folders
from resp_agent.curriculum.local import LocalStudio
from resp_agent.curriculum.request import Request, Shard
from resp_agent.diagnoser.learner import Checkpoint
from resp_agent.generator.refresh import Refresh
from resp_agent.generator.training import train_generator
from resp_agent.settings import Placement, Settings
from resp_agent.threads import set_threads


# One call a process: what it joined and allocated ends with it, and no later actor inherits its process group.
@ray.remote(max_retries=-1, max_calls=1)
def train(settings: Settings, corpus: Path, folder: Path, progress: Path) -> None:
    """Trains the generator into its folder. A killed training is retried and goes on from its last checkpoint."""
    set_threads(settings.threads)
    train_generator(settings, Corpus.open(corpus).split("train"), folder, Beacon(progress, "generator-training"))


@ray.remote(max_restarts=-1, max_task_retries=-1)
class GeneratorWorker:
    """Holds a trained generator. Stateless but for weights, so it restarts and retries without limit.

    Which weights is told with every call: a worker that restarts is never behind the others.
    """

    def __init__(self, settings: Settings, corpus: Path, folder: Path, folders: Folders, number: int):
        set_threads(settings.threads)
        self._run = folders.workspace.name
        if ray.get_runtime_context().was_current_actor_reconstructed:
            count("resp_restarts", self._run)
        beacon = Beacon(folders.progress, f"generator-{number}")
        self._studio = LocalStudio(settings, corpus, folder, folders.workspace, beacon)

    def make(
        self, requests: list[Request], diagnoser: Checkpoint | None = None, generator: Checkpoint | None = None
    ) -> list[Shard]:
        """See `LocalStudio.synthesize`; with no request it loads the generator."""
        shards = self._studio.synthesize(requests, diagnoser, generator)
        count("resp_clips_synthesized", self._run, sum(len(shard.clip_ids) for shard in shards))
        count("resp_synthesis_seconds", self._run, sum(shard.cost_s for shard in shards))
        return shards

    def refresh(self, refresh: Refresh) -> Checkpoint:
        """See `LocalStudio.refresh`. A killed one is retried and goes on from its last checkpoint."""
        return self._studio.refresh(refresh)


class RayStudio:
    """A pool of generator workers: a request goes to whichever is free."""

    def __init__(self, settings: Settings, place: Placement, corpus: Path, folder: Path, folders: Folders):
        self._settings, self._place = settings, place
        self._corpus, self._folder, self._folders = corpus, folder, folders
        self._training = None
        self._pool: ActorPool | None = None
        self._group = None

    def begin(self) -> None:
        """Starts training beside whatever else runs, in a place that a worker takes afterwards."""
        if self._training is not None:
            return
        place = self._place
        self._group = reserve(
            place.generators,
            place.generator_cpus,
            place.generator_gpus,
            "SPREAD",
            place.placement_timeout_s,
            "generator workers",
        )
        self._training = train.options(**self._reserved()).remote(
            self._settings, self._corpus, self._folder, self._folders.progress
        )

    def synthesize(
        self, requests: list[Request], diagnoser: Checkpoint | None = None, generator: Checkpoint | None = None
    ) -> list[Shard]:
        """Each request's shard, in the order of the requests, however they were shared out."""
        run = self._folders.workspace.name
        with unwrapped():
            self._open()
            show("resp_queue", run, len(requests))
            shards: list[Shard] = []
            made = self._pool.map(lambda worker, request: worker.make.remote([request], diagnoser, generator), requests)
            for some in made:
                shards += some
                show("resp_queue", run, len(requests) - len(shards))
            return shards

    def refresh(self, refresh: Refresh) -> Checkpoint:
        """The generator refreshed by one of the workers, while the others wait."""
        with unwrapped():
            self._open()
            return next(self._pool.map(lambda worker, one: worker.refresh.remote(one), [refresh]))

    def close(self) -> None:
        """Ends the workers."""
        release(self._group)
        self._pool = self._group = self._training = None

    def _open(self) -> None:
        if self._pool is not None:
            return
        self.begin()
        ray.get(self._training)
        arguments = (self._settings, self._corpus, self._folder, self._folders)
        workers = [
            GeneratorWorker.options(**self._reserved()).remote(*arguments, number)
            for number in range(self._place.generators)
        ]
        # A worker that cannot load says why; one that fails while it is made could only be reported dead.
        ray.get([worker.make.remote([]) for worker in workers])
        self._pool = ActorPool(workers)

    def _reserved(self) -> dict:
        return {
            "num_cpus": self._place.generator_cpus,
            "num_gpus": self._place.generator_gpus,
            "scheduling_strategy": within(self._group),
        }
