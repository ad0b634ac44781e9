"""Looks at validation while a model is trained: the best one is kept, and no gain for long ends the training."""

import shutil
from collections.abc import Callable
from pathlib import Path

import torch.distributed as dist

from resp_agent.storage import children, fetch, remove
from resp_agent.training.checkpoints import MANIFEST, PROGRESS, read_progress, write_whole


class Looks:
    """Scores of looks, in order. They are plain data, kept in the unfinished checkpoint; the rest follows from them.

    The checkpoint of the best look lies beside `folder`, whole and by its step, so that a training that is killed
    between a look and its next checkpoint finds the one that it knew of.
    """

    def __init__(self, folder: Path, patience: int, scores: list[tuple[int, float]]):
        """Takes the `scores` that a killed training had come to, as (steps done, score); later ones never happened."""
        self._folder, self._patience = folder, patience
        self.scores = [(int(step), float(score)) for step, score in scores]
        self.tidy()

    @property
    def best(self) -> tuple[int, float] | None:
        """(steps done, score) of the best look, the first of equals; None before the first look."""
        return max(self.scores, key=lambda look: look[1], default=None)

    @property
    def over(self) -> bool:
        """Whether as many looks as the patience allows have brought no gain."""
        since = len(self.scores) - 1 - self.scores.index(self.best) if self.scores else 0
        return 0 < self._patience <= since

    def add(self, step: int, score: float, write: Callable[[Path], None], progress: dict) -> None:
        """Notes a look; every rank calls `write` for its part of a checkpoint where it is the best so far."""
        self.scores.append((step, score))
        if self.best == (step, score):
            write_whole(self._at(step), write, progress | {"step": step})

    def tidy(self) -> None:
        """Removes checkpoints of other looks than the best. To be called when the scores are safe in a checkpoint."""
        self._remove_all_but(self._at(self.best[0]) if self.best else None)

    def forget(self) -> None:
        """Removes the checkpoints of all looks."""
        self._remove_all_but(None)

    def publish(self, progress: dict) -> dict[str, str]:
        """Makes the best look's checkpoint the one in `folder`; gives the digests of its files.

        Its progress is what it was written with and `progress`.
        """
        best = self._at(self.best[0])

        def copy(partial: Path) -> None:
            if not dist.is_initialized() or dist.get_rank() == 0:
                shutil.copytree(
                    fetch(best), partial, ignore=shutil.ignore_patterns(PROGRESS, MANIFEST), dirs_exist_ok=True
                )

        return write_whole(self._folder, copy, read_progress(best) | progress)

    def _remove_all_but(self, kept: Path | None) -> None:
        if not dist.is_initialized() or dist.get_rank() == 0:
            for path in children(self._folder.parent):
                if path.name.startswith(f"{self._folder.name}.best-") and path != kept:
                    remove(path, PROGRESS)

    def _at(self, step: int) -> Path:
        return self._folder.with_name(f"{self._folder.name}.best-{step:06d}")
