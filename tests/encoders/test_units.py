import json

import numpy as np
import pytest

from resp_agent.encoders.units import Codebook
from resp_agent.errors import CorruptCheckpoint, UserError


def clusters() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.integers(5, size=500)
    centres = 10 * rng.standard_normal((5, 8))
    return (centres[truth] + 0.1 * rng.standard_normal((500, 8))).astype(np.float32), truth


def test_finds_separate_clusters():
    patches, truth = clusters()
    units = Codebook.fit(patches, 5, seed=0).encode(patches)
    assert len(set(zip(units.tolist(), truth.tolist(), strict=True))) == 5


def test_encodes_to_the_nearest_centroid():
    patches, _ = clusters()
    book = Codebook.fit(patches, 20, seed=0, components=4)
    projected = (patches - book.mean) @ book.basis.T
    slow = np.array([[np.sum((one - centroid) ** 2) for centroid in book.centroids] for one in projected])
    chosen = slow[np.arange(len(slow)), book.encode(patches)]
    np.testing.assert_allclose(chosen, slow.min(1), atol=1e-3)


def test_a_centroid_is_its_own_unit():
    patches, _ = clusters()
    book = Codebook.fit(patches, 20, seed=0)
    assert book.encode(book.decode(np.arange(20))).tolist() == list(range(20))


def test_same_seed_same_book_and_round_trip(tmp_path):
    patches, _ = clusters()
    one, two = (Codebook.fit(patches, 20, seed=3) for _ in range(2))
    assert (one.centroids == two.centroids).all()
    assert (Codebook.fit(patches, 20, seed=4).centroids != one.centroids).any()
    one.save(tmp_path)
    read = Codebook.load(tmp_path)
    assert (read.encode(patches) == one.encode(patches)).all()
    assert read.centroids.tobytes() == one.centroids.tobytes()


def test_files_that_disagree_are_refused(tmp_path):
    book = Codebook.fit(clusters()[0], 20, seed=3)
    book.save(tmp_path)
    (tmp_path / "units.json").write_text(json.dumps({"units": 21, "components": 8}))
    with pytest.raises(CorruptCheckpoint, match="train the generator again"):
        Codebook.load(tmp_path)


def test_too_little_audio_is_refused():
    with pytest.raises(UserError, match=r"7 patches .* 8 units"):
        Codebook.fit(np.zeros((7, 4), np.float32), 8, seed=0)
