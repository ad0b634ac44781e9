import numpy as np
import pytest
from scipy import linalg

from resp_agent.errors import UserError
from resp_agent.metrics.frechet import Gaussian, frechet_distance, frechet_infinity, gaussian_distance


def gaussian(seed: int, size: int) -> Gaussian:
    rng = np.random.default_rng(seed)
    mix = rng.standard_normal((size, size)) / np.sqrt(size)
    return Gaussian(rng.standard_normal(size), mix @ mix.T)


def test_gaussians_of_one_axis_system_have_a_closed_form():
    rng = np.random.default_rng(0)
    means, deviations = rng.standard_normal((2, 6)), rng.uniform(0.1, 3, (2, 6))
    axes = linalg.qr(rng.standard_normal((6, 6)))[0]
    one, other = (
        Gaussian(axes @ mean, axes @ np.diag(sd**2) @ axes.T) for mean, sd in zip(means, deviations, strict=True)
    )
    expected = np.square(means[0] - means[1]).sum() + np.square(deviations[0] - deviations[1]).sum()
    assert gaussian_distance(one, other) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_any_gaussians_agree_with_the_root_that_scipy_takes(seed):
    one, other = gaussian(seed, 12), gaussian(seed + 10, 12)
    root = linalg.sqrtm(one.covariance @ other.covariance).real
    expected = np.square(one.mean - other.mean).sum() + np.trace(one.covariance + other.covariance - 2 * root)
    assert gaussian_distance(one, other) == pytest.approx(expected, rel=1e-8)
    assert gaussian_distance(other, one) == pytest.approx(expected, rel=1e-8)


def test_sets_of_less_recordings_than_dimensions_are_measured_as_any():
    """Their short way, without a matrix of all dimensions, is that of Gaussians of low rank."""
    rng = np.random.default_rng(5)
    one, other = rng.standard_normal((7, 40)), 2 + rng.standard_normal((9, 40))
    expected = gaussian_distance(Gaussian.fit(one), Gaussian.fit(other))
    # Rounding of an eigenvalue that is 0 comes back as its root.
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-5)
    assert frechet_distance(one.astype(np.float32), one.astype(np.float32)) == pytest.approx(0, abs=1e-5)
    assert frechet_distance(one, one + 3) == pytest.approx(9 * 40, rel=1e-6)


def test_extrapolated_is_closer_to_the_truth_than_plugged_in():
    truth_one, truth_other = (Gaussian(np.zeros(16), gaussian(seed, 16).covariance) for seed in (1, 2))
    truth = gaussian_distance(truth_one, truth_other)
    gaps = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        sets = [rng.multivariate_normal(one.mean, one.covariance, 80) for one in (truth_one, truth_other)]
        found = frechet_infinity(*sets, seed=seed)
        assert found.plug_in == frechet_distance(*sets)
        assert found.distances[0] > found.distances[-1] == pytest.approx(found.plug_in)
        gaps.append((found.distance - truth, found.plug_in - truth))
    ours, theirs = np.array(gaps).T
    assert abs(ours.mean()) < 0.35 * abs(theirs.mean())


def test_sets_of_one_origin_are_at_no_distance():
    rng = np.random.default_rng(3)
    found = [frechet_infinity(*rng.standard_normal((2, 120, 24)), seed=seed) for seed in range(8)]
    plug_in = np.mean([one.plug_in for one in found])
    assert abs(np.mean([one.distance for one in found])) < 0.2 * plug_in


def test_subsets_are_drawn_from_the_seed():
    one, other = np.random.default_rng(4).standard_normal((2, 30, 4))
    assert frechet_infinity(one, other, seed=1) == frechet_infinity(one, other, seed=1)
    assert frechet_infinity(one, other, seed=1).distance != frechet_infinity(one, other, seed=2).distance


def test_too_few_recordings_are_refused():
    few, many = np.zeros((1, 4)), np.zeros((9, 4))
    with pytest.raises(UserError, match="at least 2 recordings on either side, this one has 1"):
        frechet_distance(few, many)
    with pytest.raises(UserError, match="extrapolated from 2 recordings"):
        frechet_infinity(many[:2], many, seed=0)
