"""The contrastive task: its loss by hand, crops that repeat, and a stem that learns to find partners."""

import numpy as np
import pytest
import torch

from resp_agent.diagnoser.contrastive import Contrast, Pairs, contrastive_loss
from resp_agent.diagnoser.inputs import Example, Inputs, View
from resp_agent.diagnoser.systems.stems import AudioTokens
from resp_agent.settings import PretrainingSettings, TrainingSettings

INPUTS = Inputs(20.0, 50, ("a",), ("s",), (0.0,) * 8, (1.0,) * 8, (4,), ("[UNK]",), 4)


def _pairs(patients: int = 6, batch: int = 6, **changes) -> Pairs:
    rng = np.random.default_rng(0)
    shapes = 1.5 * rng.standard_normal((patients, 8))
    views = [
        [View(Example(f"{p}", (shape + 0.3 * rng.standard_normal((120, 8))).astype(np.float32), (), 0, 0))]
        for p, shape in enumerate(shapes)
    ]
    settings = PretrainingSettings(crop_s=0.6, training=TrainingSettings(batch=batch), **changes)
    return Pairs(INPUTS, settings, (0, "test"), views, log_mel=True)


def test_loss_is_the_mean_cross_entropy_of_the_partner():
    embedded = torch.nn.functional.normalize(torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), dim=1)
    terms = []
    for row in range(6):
        partner = (row + 3) % 6
        others = [torch.exp(embedded[row] @ embedded[k] / 0.5) for k in range(6) if k != row]
        terms.append(-torch.log(torch.exp(embedded[row] @ embedded[partner] / 0.5) / sum(others)))
    torch.testing.assert_close(contrastive_loss(embedded, 0.5), torch.stack(terms).mean())


def test_crops_repeat_by_step_and_differ_between_sides():
    pairs = _pairs()
    one, again = (pairs.collate(pairs.examples(3)) for _ in range(2))
    assert torch.equal(one.frames, again.frames)
    assert one.frames.shape == (12, 30, 8)
    assert not torch.equal(one.frames[:6], one.frames[6:])
    assert not torch.equal(one.frames, pairs.collate(pairs.examples(4)).frames)


def test_no_patient_comes_twice_while_others_have_not():
    views = _pairs(patients=6, batch=6).examples(0)
    assert len({view.example.id for view, _ in views}) == 6
    more = [view.example.id for view, _ in _pairs(patients=4, batch=6).examples(0)]
    assert len(set(more[:4])) == 4
    assert len(more) == 6


def test_a_crop_is_its_recording_through_a_smooth_response():
    pairs = _pairs(noise=0.0, response_db=12.0)
    view = pairs.patients[0][0]
    crop = pairs._crop(view, np.random.default_rng(5))
    frames = view.example.frames
    starts = [start for start in range(91) if np.ptp(crop - frames[start : start + 30], axis=0).max() < 1e-5]
    assert len(starts) == 1
    response = (crop - frames[starts[0] : starts[0] + 30])[0]
    assert 0 < np.abs(response).max() <= 12 * np.log(10) / 10 + 1e-6
    without = _pairs(noise=0.0, response_db=0.0)
    plain = without._crop(view, np.random.default_rng(5))
    assert any(np.allclose(plain, frames[start : start + 30]) for start in range(91))


def test_short_recordings_are_taken_whole():
    pairs = _pairs()
    short = View(Example("short", np.ones((10, 8), np.float32), (), 0, 0))
    batch = pairs.collate([(short, 1), (pairs.patients[0][0], 2)])
    assert batch.lengths.tolist() == [10, 30, 10, 30]


def test_a_stem_learns_to_find_partners():
    torch.manual_seed(0)
    pairs = _pairs(patients=12, batch=12, response_db=3.0)
    model = Contrast(AudioTokens(8, 16, 2), 16, 0.2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    losses = []
    for step in range(60):
        loss = model(pairs.collate(pairs.examples(step)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(np.log(23), abs=0.8)
    assert np.mean(losses[-5:]) < 0.6
