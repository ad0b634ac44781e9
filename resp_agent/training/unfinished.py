"""The last checkpoint of a training that is not over, beside the folder that it will end in."""

import logging
import shutil
from pathlib import Path

from resp_agent.errors import CorruptCheckpoint
from resp_agent.logs import log
from resp_agent.training.checkpoints import digests, read_progress, verify, write_whole
from resp_agent.training.engine import Engine

logger = logging.getLogger(__name__)


class Unfinished:
    """Each newer checkpoint replaces the one before whole."""

    def __init__(self, engine: Engine, folder: Path):
        """`folder` is where the training will end."""
        self._engine = engine
        self.folder = folder.with_name(folder.name + ".unfinished")

    def resume(self, **expected) -> dict | None:
        """Puts the engine where a killed training left it and gives what `save` was told; None: there is nothing.

        What was saved with other values for the names of `expected` is of another training, and is left alone. What is
        not what was written is as good as nothing, and says so: from the beginning a training comes to the same.
        """
        progress = read_progress(self.folder)
        if progress is None or any(progress.get(name) != value for name, value in expected.items()):
            return None
        try:
            verify(self.folder, digests(self.folder))
        except CorruptCheckpoint as problem:
            log("checkpoint damaged", folder=self.folder, reason=problem)
            if self._engine.rank == 0:
                logger.warning("%s: training begins anew", problem)
            return None
        self._engine.load(self.folder)
        return progress

    def save(self, progress: dict) -> None:
        """Writes the engine as it is, with plain data on how far it has come. All ranks call it together."""
        write_whole(self.folder, self._engine.save, progress)

    def remove(self) -> None:
        """Nothing is left of it: the training is over."""
        if self._engine.rank == 0:
            shutil.rmtree(self.folder, ignore_errors=True)
