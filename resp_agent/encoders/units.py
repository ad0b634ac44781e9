"""Units: a k-means codebook over style-normalised patches."""

import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from sklearn.cluster import MiniBatchKMeans

from resp_agent.errors import CorruptCheckpoint, UserError
from resp_agent.randomness import seed_of, stream

MOST_PATCHES = 200_000
"""Patches that the codebook is fitted on; a larger training split is sampled."""


@dataclass(frozen=True)
class Codebook:
    """Units as the nearest of K centroids in a principal subspace of the patches."""

    mean: np.ndarray
    """(M,) mean patch."""
    basis: np.ndarray
    """(P, M) orthonormal principal directions."""
    centroids: np.ndarray
    """(K, P) in the subspace."""

    @classmethod
    def fit(cls, patches: np.ndarray, units: int, seed: int, components: int = 16) -> "Codebook":
        """A codebook of `units` centroids, fitted on (N, M) patches of the training split.

        Distances are Euclidean in the first `components` principal directions, which leave out band-wise noise.

        Raises:
            UserError: there are fewer patches than units.
        """
        if len(patches) < units:
            raise UserError(
                f"{len(patches)} patches of training audio cannot make {units} units: "
                "lower generator.units or add recordings"
            )
        if len(patches) > MOST_PATCHES:
            chosen = np.sort(stream(seed, "units", "sample").choice(len(patches), MOST_PATCHES, replace=False))
            patches = patches[chosen]
        centred = patches.astype(np.float64)
        mean = centred.mean(0)
        centred = centred - mean
        _, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
        basis = vectors[:, ::-1][:, : min(components, patches.shape[1])].T
        # The sign of an eigenvector is arbitrary: its largest entry is made positive.
        basis = basis * np.sign(basis[np.arange(len(basis)), np.abs(basis).argmax(1)])[:, None]
        model = MiniBatchKMeans(
            units, random_state=seed_of(seed, "units", "k-means") % 2**32, batch_size=2048, max_iter=30, n_init=1
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(centred @ basis.T)
        centroids = model.cluster_centers_
        # safetensors writes memory as it lies, so what is saved must lie in order.
        return cls(*(np.ascontiguousarray(one, np.float32) for one in (mean, basis, centroids)))

    @property
    def units(self) -> int:
        """K, the number of units."""
        return len(self.centroids)

    def encode(self, patches: np.ndarray) -> np.ndarray:
        """(T, M) patches to (T,) int64 units."""
        projected = (patches - self.mean) @ self.basis.T
        distances = (self.centroids**2).sum(1) - 2 * projected @ self.centroids.T
        return distances.argmin(1)

    def decode(self, units: np.ndarray) -> np.ndarray:
        """(T,) units to their (T, M) float32 centroids."""
        return self.centroids[units] @ self.basis + self.mean

    def save(self, folder: Path) -> None:
        """Writes `units.safetensors` and `units.json` into `folder`."""
        save_file({"mean": self.mean, "basis": self.basis, "centroids": self.centroids}, folder / "units.safetensors")
        (folder / "units.json").write_text(json.dumps({"units": self.units, "components": len(self.basis)}))

    @classmethod
    def load(cls, folder: Path) -> "Codebook":
        """The inverse of `save`.

        Raises:
            CorruptCheckpoint: the two files do not describe the same codebook.
        """
        told = json.loads((folder / "units.json").read_text())
        book = cls(**load_file(folder / "units.safetensors"))
        if book.centroids.shape != (told["units"], told["components"]):
            raise CorruptCheckpoint(
                f"units.safetensors holds {book.centroids.shape}, units.json tells of {told}: train the generator again"
            )
        return book
