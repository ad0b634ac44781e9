"""Frechet distance of two sets of embeddings, and its value for endless sets, extrapolated from finite ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from resp_agent.errors import UserError
from resp_agent.randomness import stream

SHARES = (0.5, 0.6, 0.7, 0.85, 1.0)
"""Sizes of subsets, as shares of the sets."""
DRAWS = 5
"""Subsets of each size."""


@dataclass(frozen=True)
class Gaussian:
    """The Gaussian fit of a set of embeddings, float64."""

    mean: np.ndarray
    """(D,)."""
    covariance: np.ndarray
    """(D, D)."""

    @classmethod
    def fit(cls, embeddings: np.ndarray) -> "Gaussian":
        """Mean and unbiased covariance of (N, D).

        Raises:
            UserError: there are fewer than two.
        """
        if len(embeddings) < 2:
            raise UserError(
                f"a Frechet distance needs at least 2 recordings on either side, this one has {len(embeddings)}: ask "
                "for more clips, or give a corpus with more"
            )
        values = np.asarray(embeddings, np.float64)
        centred = values - values.mean(0)
        return cls(values.mean(0), centred.T @ centred / (len(values) - 1))


def gaussian_distance(one: Gaussian, other: Gaussian) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) (Dowson and Landau 1982, equation 16; FID: Heusel et al. 2017).

    The trace of the root is that of (C1^(1/2) C2 C1^(1/2))^(1/2), which is symmetric: no rank is too low for it.
    """
    root = _root(one.covariance)
    return _distance(one, other, np.sqrt(_eigenvalues(root @ other.covariance @ root)).sum())


def frechet_distance(one: np.ndarray, other: np.ndarray) -> float:
    """The Frechet distance of the Gaussian fits of (N1, D) and (N2, D) embeddings; too large for small sets.

    Raises:
        UserError: a set has fewer than two.
    """
    fits = Gaussian.fit(one), Gaussian.fit(other)
    if max(len(one), len(other)) >= one.shape[1]:
        return gaussian_distance(*fits)
    # The trace of the root is the nuclear norm of the product of the centred sets, which is small where they are.
    halves = [(part - fit.mean) / np.sqrt(len(part) - 1) for part, fit in zip((one, other), fits, strict=True)]
    return _distance(*fits, np.linalg.svd(halves[0] @ halves[1].T, compute_uv=False).sum())


@dataclass(frozen=True)
class Extrapolated:
    """A Frechet distance for sets of endless size."""

    distance: float
    """The intercept of the fit; of sets of one origin it scatters around 0, on both sides."""
    plug_in: float
    """The distance of the whole sets."""
    sizes: tuple[int, ...]
    """Of the subsets of the first set."""
    distances: tuple[float, ...]
    """Mean at each size."""


def frechet_infinity(
    one: np.ndarray,
    other: np.ndarray,
    seed: int,
    shares: Sequence[float] = SHARES,
    draws: int = DRAWS,
) -> Extrapolated:
    """The distance of (N1, D) and (N2, D), unbiased by extrapolation: distances at several sizes, fitted linearly in
    1 / size; the intercept is the value for endless sets (Chong and Forsyth 2020, arXiv 1911.07023; for audio, Gui et
    al. 2023, arXiv 2311.01616).

    Both sets are small here, so both are drawn from at the same share, without replacement: the bias of each falls
    with its size.

    Args:
        shares: sizes of subsets as shares of the sets, at least two different ones.
        draws: subsets of each size; they are drawn from `seed`.

    Raises:
        UserError: a set is too small for its smallest subset to hold two.
    """
    fewest = min(len(one), len(other))
    if round(min(shares) * fewest) < 2:
        raise UserError(
            f"a Frechet distance extrapolated from {fewest} recordings has subsets of less than 2: ask for more clips, "
            "or give a corpus with more"
        )
    sizes, distances = [], []
    for share in shares:
        counts = round(share * len(one)), round(share * len(other))
        # Of the whole there is one subset only.
        rngs = [stream(seed, "frechet", counts[0], draw) for draw in range(draws if share < 1 else 1)]
        subsets = [[part[rng.permutation(len(part))[:count]] for part, count in zip((one, other), counts, strict=True)]
                   for rng in rngs]  # fmt: skip
        sizes.append(counts[0])
        distances.append(float(np.mean([frechet_distance(*pair) for pair in subsets])))
    _, intercept = np.polyfit(1 / np.array(sizes), distances, 1)
    return Extrapolated(float(intercept), frechet_distance(one, other), tuple(sizes), tuple(distances))


def _distance(one: Gaussian, other: Gaussian, shared: float) -> float:
    """The distance, `shared` being the trace of the root."""
    gap = one.mean - other.mean
    distance = gap @ gap + np.trace(one.covariance) + np.trace(other.covariance) - 2 * shared
    # Of equal sets it is 0, but for rounding.
    return max(float(distance), 0.0)


def _root(symmetric: np.ndarray) -> np.ndarray:
    """The symmetric square root of a positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(symmetric)
    return vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T


def _eigenvalues(symmetric: np.ndarray) -> np.ndarray:
    """Those of a positive semidefinite matrix, rounding below 0 taken away."""
    return np.maximum(np.linalg.eigvalsh((symmetric + symmetric.T) / 2), 0)
