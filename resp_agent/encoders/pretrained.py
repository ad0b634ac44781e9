"""What pretrained encoders share: recordings cut into windows, windows put into batches, weights named by content."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from torch import nn

from resp_agent.randomness import digest


@dataclass(frozen=True)
class Window:
    """A part of a recording that an encoder hears at once."""

    owner: int
    """Which sequence it belongs to."""
    start: int
    """Its first frame there."""
    frames: int
    """How many it has."""


def cut(owner: int, frames: int, most: int) -> list[Window]:
    """The least number of consecutive windows of at most `most` frames that cover `frames`, of equal length to a frame.

    Equal ones, because a short last one would be heard out of context.
    """
    parts = -(-frames // most)
    edges = [part * frames // parts for part in range(parts + 1)] if parts else [0]
    return [Window(owner, start, end - start) for start, end in pairwise(edges)]


def batches(windows: Sequence[Window], most: int) -> Iterator[list[Window]]:
    """The windows in batches of equally long ones, of at most `most` frames or of one window.

    Never of different lengths: padding costs time, and moves the last bits of a recording with its neighbours.
    """
    by_length: dict[int, list[Window]] = {}
    for window in windows:
        by_length.setdefault(window.frames, []).append(window)
    for frames, alike in by_length.items():
        rows = max(1, most // frames)
        for first in range(0, len(alike), rows):
            yield alike[first : first + rows]


def in_windows(
    lengths: Sequence[int],
    most: int,
    hear: Callable[[list[Window]], Sequence[np.ndarray]],
    nothing: np.ndarray,
    batch: int,
) -> list[np.ndarray]:
    """What `hear` makes of each sequence, its windows joined: (length, ...) each.

    Args:
        lengths: frames of each sequence, which windows call by its place.
        most: longest window in frames.
        hear: equally long windows to an array (frames, ...) for each.
        nothing: (0, ...), what becomes of a sequence without frames.
        batch: frames that are heard at once.
    """
    windows = [window for owner, frames in enumerate(lengths) for window in cut(owner, frames, most)]
    parts: list[dict[int, np.ndarray]] = [{} for _ in lengths]
    for alike in batches(windows, batch):
        for window, answer in zip(alike, hear(alike), strict=True):
            parts[window.owner][window.start] = answer
    return [np.concatenate([nothing, *(part for _, part in sorted(whole.items()))]) for whole in parts]


def stacked(parts: Sequence[np.ndarray], samples: int) -> np.ndarray:
    """Waveforms of at most `samples` samples as (B, samples) float32, zeros at the end of shorter ones."""
    rows = np.zeros((len(parts), samples), np.float32)
    for row, part in zip(rows, parts, strict=True):
        row[: len(part)] = part
    return rows


def weights_digest(model: nn.Module) -> str:
    """A content name of a model's parameters: their names, shapes and numbers."""
    hasher = hashlib.blake2b(digest_size=16)
    for name, value in sorted(model.state_dict().items()):
        hasher.update(digest(name, tuple(value.shape), str(value.dtype)).encode())
        hasher.update(np.ascontiguousarray(value.cpu().numpy()).data)
    return hasher.hexdigest()
