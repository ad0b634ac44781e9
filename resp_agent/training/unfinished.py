"""The last checkpoint of a training that is not over, beside the folder that it will end in."""

import logging
from pathlib import Path

from resp_agent.errors import CorruptCheckpoint
from resp_agent.logs import log
from resp_agent.storage import is_mirror, remove
from resp_agent.training.checkpoints import PROGRESS, digests, read_progress, verify, write_whole
from resp_agent.training.engine import Engine

logger = logging.getLogger(__name__)
_SAVED = "saved"
"""In the progress of a checkpoint on a store: how many there were."""


class Unfinished:
    """Each newer checkpoint replaces the one before whole."""

    def __init__(self, engine: Engine, folder: Path):
        """`folder` is where the training will end."""
        self._engine = engine
        self.folder = folder.with_name(folder.name + ".unfinished")
        self._folders = [self.folder]
        self._saved = 0
        if is_mirror(folder):
            # A store replaces no folder in one go: until the next checkpoint is whole, the one before must stand.
            self._folders.append(folder.with_name(folder.name + ".2.unfinished"))

    def resume(self, **expected) -> dict | None:
        """Puts the engine where a killed training left it and gives what `save` was told; None: there is nothing.

        What was saved with other values for the names of `expected` is of another training, and is left alone. What is
        not what was written is as good as nothing, and says so: from the beginning a training comes to the same.
        """
        found = [(read_progress(folder), folder) for folder in self._folders]
        own = [
            (progress, folder)
            for progress, folder in found
            if progress is not None and all(progress.get(name) == value for name, value in expected.items())
        ]
        if not own:
            return None
        progress, folder = max(own, key=lambda one: one[0].get(_SAVED, 0))
        try:
            verify(folder, digests(folder))
        except CorruptCheckpoint as problem:
            log("checkpoint damaged", folder=folder, reason=problem)
            if self._engine.rank == 0:
                logger.warning("%s: training begins anew", problem)
            return None
        self._engine.load(folder)
        self._saved = progress.get(_SAVED, 0)
        return progress

    def save(self, progress: dict) -> None:
        """Writes the engine as it is, with plain data on how far it has come. All ranks call it together."""
        self._saved += 1
        number = {_SAVED: self._saved} if len(self._folders) > 1 else {}
        write_whole(self._folders[self._saved % len(self._folders)], self._engine.save, progress | number)

    def remove(self) -> None:
        """Nothing is left of it: the training is over."""
        if self._engine.rank == 0:
            for folder in self._folders:
                remove(folder, PROGRESS)
