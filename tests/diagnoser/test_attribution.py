"""Attributions add up, and are what they must be where integrated gradients are known."""

import numpy as np
import pytest
import torch
from torch import nn

from resp_agent.diagnoser.attribution import Attribution, attribute
from resp_agent.diagnoser.classifier import Classifier
from resp_agent.diagnoser.inputs import Example, Inputs
from resp_agent.diagnoser.systems import build
from resp_agent.settings import DiagnoserSettings

SETTINGS = DiagnoserSettings(width=16, heads=2, layers=2)
INPUTS = Inputs(
    frame_ms=20.0,
    window=40,
    labels=("a", "b", "c"),
    styles=("s",),
    mean=(1.0, -2.0, 0.5, 3.0),
    deviation=(2.0, 0.5, 1.0, 1.5),
    counts=(3, 2, 1),
    vocabulary=("[UNK]", "cough", "fever"),
    text_tokens=8,
)


def example(frames: int, text=(1, 2)) -> Example:
    drawn = np.random.default_rng(frames).standard_normal((frames, 4)).astype(np.float32)
    return Example("one", drawn * 2 + 1, text, label=-1, style=-1)


class Power(Classifier):
    """The logit of label i is i times the sum of (weights x frame) to some power, over the frames of a window."""

    reads = False

    def __init__(self, power: int):
        super().__init__(SETTINGS, INPUTS.counts)
        self.weights = nn.Parameter(torch.tensor([0.5, -1.0, 2.0, 0.25]))
        self.power = power

    def logits(self, batch):
        real = torch.arange(batch.frames.shape[1])[None] < batch.frame_lengths[:, None]
        summed = ((batch.frames @ self.weights) ** self.power * real).sum(dim=1)
        return summed[:, None] * torch.arange(3.0)


@pytest.mark.parametrize("power", [1, 3])
def test_frames_that_do_not_mix_get_what_each_adds(power):
    """Along a straight path, a function of one frame alone attributes to it its own change."""
    model, one = Power(power), example(40)
    found = attribute(model, INPUTS, one, label=2, moment_ms=20.0, points=4)
    standardised = (one.frames - np.array(INPUTS.mean)) / np.array(INPUTS.deviation)
    np.testing.assert_allclose(found.values, 2 * (standardised @ model.weights.detach().numpy()) ** power, rtol=1e-4)
    np.testing.assert_allclose(found.seconds, np.arange(41) * 0.02)


@pytest.mark.parametrize("frames", [7, 40, 105])
@pytest.mark.parametrize("text", [(), (1, 2, 0)])
def test_attributions_add_up_to_the_difference_of_logits(frames, text):
    torch.manual_seed(0)
    model = build(SETTINGS, INPUTS)
    found = attribute(model, INPUTS, example(frames, text), label=1, moment_ms=80.0)
    assert found.logit != pytest.approx(found.baseline, abs=1e-3)
    assert found.values.sum() == pytest.approx(found.logit - found.baseline, abs=1e-5)
    assert len(found.seconds) == len(found.values) + 1 == -(-frames // 4) + 1
    assert found.seconds[-1] == pytest.approx(frames * 0.02)
    assert np.abs(found.relevance).max() == 1


def test_a_recording_of_several_windows_is_their_mean():
    """The last window ends with the audio, so frames that two windows hear get something of both."""
    one = example(60)
    found = attribute(Power(1), INPUTS, one, label=1, moment_ms=20.0, points=2)
    whole = (one.frames - np.array(INPUTS.mean)) / np.array(INPUTS.deviation) @ np.array([0.5, -1.0, 2.0, 0.25])
    heard = np.where((np.arange(60) >= 20) & (np.arange(60) < 40), 2, 1)
    np.testing.assert_allclose(found.values, whole * heard / 2, rtol=1e-4)


def test_moments_are_the_strongest_that_speak_for_the_label_and_lie_apart():
    edges = np.arange(11) / 10
    found = Attribution(edges, np.array([0, 1, 4, 3, 0, 0, -9, 2, 0, 0.5]), 1.0, 0.0)
    assert found.moments(3, apart_s=0.2) == [
        (pytest.approx(0.2), pytest.approx(0.3), pytest.approx(4 / 9)),
        (pytest.approx(0.7), pytest.approx(0.8), pytest.approx(2 / 9)),
    ]
    assert len(found.moments(3, apart_s=0.0)) == 3
    assert Attribution(edges, np.zeros(10), 1.0, 1.0).moments() == []


def test_a_system_that_hears_nothing_is_refused():
    model = Power(1)
    model.hears = False
    with pytest.raises(ValueError, match="takes no audio"):
        attribute(model, INPUTS, example(10), label=0, moment_ms=20.0)
