import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

from resp_agent.errors import UserError
from resp_agent.metrics.synthesis import distances, diversity, memorisation, pairwise_distance


def cloud(seed: int, count: int, spread: float = 1.0, size: int = 8) -> np.ndarray:
    return spread * np.random.default_rng(seed).standard_normal((count, size)) + 50


def test_distances_are_euclidean():
    one, other = cloud(0, 5), cloud(1, 7)
    np.testing.assert_allclose(distances(one, other), cdist(one, other), rtol=1e-9)
    assert pairwise_distance(one) == pytest.approx(pdist(one).mean())


def test_diversity_is_a_share_of_that_of_real_recordings_of_the_same_cell():
    cells = [("asthma", "bell")] * 60 + [("asthma", "phone")] * 60
    real = np.concatenate([cloud(2, 60, 1.0), cloud(3, 60, 2.0) + 90])
    same = np.concatenate([cloud(4, 60, 1.0), cloud(5, 60, 2.0) - 90])
    assert diversity(same, cells, real, cells) == pytest.approx(1, abs=0.05)
    assert diversity(real / 4, cells, real, cells) == pytest.approx(0.25)
    assert diversity(np.repeat(same[:1], 3, 0), cells[:3], real, cells) == pytest.approx(0, abs=1e-6)
    # What has no partner, here or there, says nothing.
    lone = [("COPD", "bell"), ("COPD", "bell"), ("asthma", "bell")]
    assert diversity(same[:3], lone, real, cells) is None


def test_new_recordings_are_as_far_as_real_ones_and_copies_are_found():
    train, new = cloud(6, 400), cloud(7, 400)
    fresh = memorisation(new, train)
    assert fresh.ratio == pytest.approx(1, abs=0.08)
    assert fresh.share < 0.04
    assert fresh.closest > 0.5
    copied = memorisation(train[:50] + 1e-6, train)
    assert copied.share == 1
    assert max(copied.ratio, copied.closest) < 1e-5
    mixed = memorisation(np.concatenate([new[:30], train[:10]]), train)
    assert 0.25 <= mixed.share < 0.35


def test_the_threshold_is_the_first_percentile_of_leave_one_out_distances():
    train, clips = cloud(8, 120), cloud(9, 90, 0.8)
    between = cdist(train, train) + np.diag(np.full(120, np.inf))
    least, ours = np.percentile(between.min(1), 1), cdist(clips, train).min(1)
    found = memorisation(clips, train)
    assert found.share == pytest.approx(np.mean(ours < least))
    assert found.closest == pytest.approx(ours.min() / least)
    assert found.ratio == pytest.approx(np.median(ours) / np.median(between.min(1)))


def test_one_training_recording_tells_nothing():
    with pytest.raises(UserError, match="there is 1"):
        memorisation(cloud(0, 3), cloud(1, 1))
