"""Styles: the device where there are two, clusters fitted on train where there are not."""

import numpy as np
import pytest

from resp_agent.corpus.clusters import pooled
from resp_agent.corpus.style import UNKNOWN_DEVICE, styles_of
from tests.audio.waves import noise


def coloured(name: object, order: int) -> np.ndarray:
    return np.convolve(noise(name), np.ones(order) / order, "same").astype(np.float32)


def test_two_devices_are_the_styles_and_no_audio_is_read():
    def never():
        raise AssertionError("read")
        yield

    assert styles_of(["a", None, "b"], ["train"] * 3, never(), 0) == ["a", UNKNOWN_DEVICE, "b"]


def test_clusters_are_numbered_by_their_size_in_train_and_join_what_sounds_alike():
    orders = [1] * 12 + [8] * 7 + [40] * 3
    waveforms = [coloured(i, order) for i, order in enumerate(orders)]
    splits = ["valid" if i % 4 == 3 else "train" for i in range(len(orders))]
    styles = styles_of([None] * len(orders), splits, waveforms, 0)
    assert styles == ["cluster 1"] * 12 + ["cluster 2"] * 7 + ["cluster 3"] * 3
    assert styles_of(["one"] * len(orders), splits, waveforms, 0) == styles


def test_clusters_are_fitted_on_train_alone():
    train = [coloured(i, order) for i, order in enumerate([1, 1, 8, 8, 40, 40])]
    alone = styles_of([None] * 6, ["train"] * 6, train, 0)
    strange = [np.sign(noise(i)) for i in range(6)]
    assert styles_of([None] * 12, ["train"] * 6 + ["test"] * 6, train + strange, 0)[:6] == alone


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_recordings_than_clusters_are_enough(count):
    waveforms = [coloured(i, 1 + 20 * i) for i in range(count)]
    assert len(set(styles_of([None] * count, ["train"] * count, waveforms, 0))) == count


def test_pooled_features_of_a_louder_recording_are_shifted_by_the_gain():
    quiet = pooled(noise("pooled", amplitude=0.02))
    loud = pooled(noise("pooled", amplitude=0.2))
    np.testing.assert_allclose(loud[:64] - quiet[:64], np.log(100), atol=0.05)
    np.testing.assert_allclose(loud[64:], quiet[64:], atol=0.05)
