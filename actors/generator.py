"""Generator workers: train once, then many workers synthesize."""

from pathlib import Path

import ray
from ray.util import ActorPool
from ray.util.placement_group import remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from actors.cluster import reserve
from actors.failures import unwrapped
from resp_agent.corpus.dataset import Corpus
from resp_agent.curriculum.beacon import Beacon
from resp_agent.curriculum.folders import Folders
from resp_agent.curriculum.local import LocalStudio
from resp_agent.curriculum.request import Request, Shard
from resp_agent.generator.training import train_generator
from resp_agent.settings import Placement, Settings
from resp_agent.threads import set_threads


@ray.remote(max_retries=-1)
def train(settings: Settings, corpus: Path, folder: Path, progress: Path) -> None:
    """Trains the generator into its folder. A killed training is retried and goes on from its last checkpoint."""
    set_threads(settings.threads)
    train_generator(settings, Corpus.open(corpus).split("train"), folder, Beacon(progress, "generator-training"))


@ray.remote(max_restarts=-1, max_task_retries=-1)
class GeneratorWorker:
    """Holds a trained generator. Stateless but for weights, so it restarts and retries without limit."""

    def __init__(self, settings: Settings, corpus: Path, folder: Path, folders: Folders, number: int):
        set_threads(settings.threads)
        beacon = Beacon(folders.progress, f"generator-{number}")
        self._studio = LocalStudio(settings, corpus, folder, folders.workspace, beacon)
        self._studio.synthesize([])

    def make(self, request: Request) -> Shard:
        """See `LocalStudio.make`."""
        return self._studio.make(request)


class RayStudio:
    """A pool of generator workers: a request goes to whichever is free."""

    def __init__(self, settings: Settings, place: Placement, corpus: Path, folder: Path, folders: Folders):
        self._settings, self._place = settings, place
        self._corpus, self._folder, self._folders = corpus, folder, folders
        self._training = None
        self._pool: ActorPool | None = None
        self._group = None

    def begin(self) -> None:
        """Starts training beside whatever else runs."""
        if self._training is None and self._pool is None:
            reserved = train.options(num_cpus=self._place.generator_cpus, num_gpus=self._place.generator_gpus)
            self._training = reserved.remote(self._settings, self._corpus, self._folder, self._folders.progress)

    def synthesize(self, requests: list[Request]) -> list[Shard]:
        """Each request's shard, in the order of the requests, however they were shared out."""
        self._open()
        with unwrapped():
            return list(self._pool.map(lambda worker, request: worker.make.remote(request), requests))

    def close(self) -> None:
        """Ends the workers."""
        if self._group is not None:
            remove_placement_group(self._group)
        self._pool = self._group = None

    def _open(self) -> None:
        if self._pool is not None:
            return
        self.begin()
        with unwrapped():
            ray.get(self._training)
        place = self._place
        self._group = reserve(
            place.generators,
            place.generator_cpus,
            place.generator_gpus,
            "SPREAD",
            place.placement_timeout_s,
            "generator workers",
        )
        here = PlacementGroupSchedulingStrategy(self._group)
        reserved = GeneratorWorker.options(
            num_cpus=place.generator_cpus, num_gpus=place.generator_gpus, scheduling_strategy=here
        )
        arguments = (self._settings, self._corpus, self._folder, self._folders)
        self._pool = ActorPool([reserved.remote(*arguments, number) for number in range(place.generators)])
