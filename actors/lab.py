"""The Lab on Ray: the same episode, its generator a pool of workers and its diagnoser a gang of ranks."""

from actors.cluster import connect, knock
from actors.diagnoser import Gang
from actors.generator import RayStudio
from actors.metrics import show
from resp_agent.corpus.resolve import resolve_corpus
from resp_agent.curriculum.episode import EpisodeLab
from resp_agent.curriculum.folders import Folders
from resp_agent.settings import Placement, Settings


def ray_lab(settings: Settings, workspace: str, first: str | None = None, place: Placement | None = None) -> EpisodeLab:
    """A Lab on the cluster of RAY_ADDRESS, or on a local Ray. The workspace must be readable on every node."""
    place = place or Placement()
    folders = Folders.of(workspace, first, place.diagnoser_workers)
    knock()
    corpus = resolve_corpus(settings, folders.corpus(settings))
    connect()
    show("resp_quarantined", folders.workspace.name, corpus.quarantined)
    studio = RayStudio(settings, place, corpus.path, folders.generator(settings, corpus), folders)
    school = Gang(settings, place, corpus.path, folders, studio.yield_room)
    return EpisodeLab(settings, folders, corpus, studio, school)
