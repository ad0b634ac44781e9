"""Where things lie in a workspace; every node of a run reads and writes the same one, or mirrors it from a store."""

import os
from dataclasses import dataclass
from pathlib import Path

from resp_agent.corpus.dataset import Corpus
from resp_agent.encoders import make_encoder
from resp_agent.randomness import digest
from resp_agent.settings import Settings, fingerprint
from resp_agent.storage import is_mirror, is_remote, local, shown
from resp_agent.weights import locate


def name_in(workspace: Path, folder: Path) -> str:
    """A folder as a journal names it: relative to the workspace, or the URI of what lies elsewhere on a store."""
    if is_mirror(folder) and not folder.is_relative_to(workspace):
        return shown(folder)
    return os.path.relpath(folder, workspace)


def found_in(workspace: Path, name: str) -> Path:
    """The inverse of `name_in`."""
    return local(name) if is_remote(name) else Path(os.path.normpath(workspace / name))


@dataclass(frozen=True)
class Folders:
    """A run's workspace, and where first-trained models and built corpora are kept (by default in it)."""

    workspace: Path
    first: Path
    ranks: int = 1
    """Diagnoser workers: they agree to 1e-4 only, and each keeps a share of the checkpoint."""

    @classmethod
    def of(cls, workspace: str | Path, first: str | Path | None = None, ranks: int = 1) -> "Folders":
        """Absolute folders, so that workers with other working directories find them."""
        workspace = local(workspace).resolve()
        return cls(workspace, local(first).resolve() if first else workspace / "first", ranks)

    @property
    def checkpoints(self) -> Path:
        """Checkpoints of rounds."""
        return self.workspace / "checkpoints"

    @property
    def generators(self) -> Path:
        """Refreshed generators."""
        return self.workspace / "generators"

    @property
    def synthetic(self) -> Path:
        """Shards of clips."""
        return self.workspace / "synthetic"

    @property
    def progress(self) -> Path:
        """What each worker does right now."""
        return self.workspace / "progress"

    @property
    def features(self) -> Path:
        """What encoders made of recordings; see `encoders.cache`."""
        return self.first / "features"

    def corpus(self, settings: Settings) -> Path:
        """The corpus that is built for these settings."""
        return self.first / f"corpus-{fingerprint(settings.corpus, settings.simulation, settings.seed)}"

    def diagnoser(self, settings: Settings, corpus: Corpus) -> Path:
        """The first-trained diagnoser of these settings, this corpus and so many ranks; other weights at the places
        that the settings name, of the encoder or of a stem, make another one."""
        encoder = make_encoder(settings.diagnoser.encoder, settings.audio).fingerprint
        stem = settings.diagnoser.stem_weights
        began = digest(locate(stem).read_bytes()) if stem else ""
        trained = (settings.audio, settings.diagnoser, settings.seed, settings.threads, self.ranks)
        return self.first / f"diagnoser-{fingerprint(corpus.fingerprint, encoder, began, *trained)}"

    def generator(self, settings: Settings, corpus: Corpus) -> Path:
        """The generator of these settings and this corpus."""
        key = fingerprint(corpus.fingerprint, settings.audio, settings.generator, settings.seed, settings.threads)
        return self.first / f"generator-{key}"

    def vocoder(self, settings: Settings, corpus: Corpus) -> Path:
        """The vocoder that is trained by itself with these settings, on this corpus."""
        chosen = settings.generator.vocoder
        return self.first / f"vocoder-{fingerprint(corpus.fingerprint, settings.audio, chosen, settings.seed)}"
