"""The in-process Lab: everything in this process, one thing after the other."""

from pathlib import Path

from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.resolve import resolve_corpus
from resp_agent.curriculum.beacon import Beacon
from resp_agent.curriculum.episode import EpisodeLab
from resp_agent.curriculum.folders import Folders
from resp_agent.curriculum.request import Request, Shard
from resp_agent.diagnoser.learner import Checkpoint, Learner
from resp_agent.generator.refresh import Refresh, refresh_generator
from resp_agent.generator.synthesizer import make_generator, write_clips
from resp_agent.generator.training import train_generator
from resp_agent.settings import Settings
from resp_agent.threads import set_threads


def local_lab(settings: Settings, workspace: str, first: str | None = None) -> EpisodeLab:
    """A Lab in this process, with the corpus of the settings, in a workspace folder.

    Sets the threads of this process to `settings.threads`, as the Lab on Ray does for its workers. `first` is where
    first-trained models and built corpora are kept; by default in the workspace.
    """
    set_threads(settings.threads)
    folders = Folders.of(workspace, first)
    corpus = resolve_corpus(settings, folders.corpus(settings))
    studio = LocalStudio(
        settings,
        corpus.path,
        folders.generator(settings, corpus),
        folders.workspace,
        Beacon(folders.progress, "generator-0"),
    )
    school = Learner(settings, corpus.path, Beacon(folders.progress, "diagnoser-0"), folders.features)
    return EpisodeLab(settings, folders, corpus, studio, school)


class LocalStudio:
    """A generator in this process; trained or loaded when it is first needed."""

    def __init__(self, settings: Settings, corpus: Path, trained: Path, workspace: Path, beacon: Beacon):
        self._settings, self._corpus, self._trained = settings, corpus, trained
        self._workspace, self._beacon = workspace, beacon
        self._generator = None
        self._at: Checkpoint | None = None

    def begin(self) -> None:
        """Nothing can be begun beside what this process does."""

    def synthesize(
        self, requests: list[Request], diagnoser: Checkpoint | None = None, generator: Checkpoint | None = None
    ) -> list[Shard]:
        """Each request's clips as a shard below the workspace, which its path is relative to."""
        self._open(generator)
        if any(request.hardness > 0 for request in requests):
            self._generator.listen(diagnoser)
        shards = [self._make(request) for request in requests]
        self._beacon.at("waiting")
        return shards

    def refresh(self, refresh: Refresh) -> Checkpoint:
        """See `refresh_generator`."""
        self._open(refresh.start)
        refreshed = refresh_generator(self._settings, self._generator, refresh, self._beacon)
        self._beacon.at("waiting")
        return refreshed

    def close(self) -> None:
        """Forgets the generator."""
        self._generator = self._at = None

    def _open(self, refreshed: Checkpoint | None) -> None:
        """Makes the generator the first-trained one, or a refreshed one."""
        if self._generator is None:
            self._beacon.at("loading generator")
            train = Corpus.open(self._corpus).split("train")
            train_generator(self._settings, train, self._trained, self._beacon)
            self._generator = make_generator(self._settings, train, self._trained)
        if refreshed != self._at:
            self._beacon.at("loading generator")
            self._generator.use(refreshed)
            self._at = refreshed

    def _make(self, request: Request) -> Shard:
        self._beacon.at("synthesizing", seed=request.seed)
        return write_clips(self._generator, request, self._workspace)
