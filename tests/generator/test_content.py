import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resp_agent.corpus.schema import Event
from resp_agent.generator.content import SEAM_FRAMES, _closed, compose, content_of_units
from resp_agent.generator.material import Material
from resp_agent.settings import CompositionSettings
from tests.generator.made_up import settings, train_split

AUDIO = settings().audio
AS_IT_IS = CompositionSettings(shift=False, transplant=0.0, event_gain_db=0.0, pace=0.0)
HOP_S = 0.02


@pytest.fixture(scope="module")
def material() -> Material:
    """The tone of a made-up asthma is an event from 0.4 s on."""
    train = [
        dataclasses.replace(one, events=(Event(0.4, 1.0, "wheeze"),) if one.label == "asthma" else ())
        for one in train_split()
    ]
    return Material.of(train, AUDIO)


ILL, HEALTHY = 8, 0
"""Indices of a recording with a wheeze and of a reference."""


def drawn(material, frames=50, seed=0, **changes):
    how = dataclasses.replace(AS_IT_IS, **changes)
    return compose(material, ILL, HEALTHY, frames, how, np.random.default_rng(seed))


def test_nothing_is_changed_unless_it_is_asked_for(material):
    content = drawn(material)
    np.testing.assert_array_equal(content.power, material.content(ILL))
    np.testing.assert_allclose(content.normal, material.normal(ILL), atol=1e-5)
    assert content.events == (Event(0.4, 1.0, "wheeze"),)
    assert content.sources == (ILL,)


@given(seed=st.integers(0, 500), frames=st.integers(25, 160), pace=st.sampled_from([0.0, 0.3]))
def test_events_lie_where_the_tone_is(material, seed, frames, pace):
    content = drawn(material, frames, seed, shift=True, pace=pace)
    assert content.power.shape == (frames, 64)
    moments = (np.arange(frames) + 0.5) * HOP_S
    inside = np.zeros(frames, bool)
    for event in content.events:
        assert 0 <= event.start_s < event.end_s <= frames * HOP_S + 1e-9
        inside |= (moments > event.start_s) & (moments < event.end_s)
    # 440 Hz lies in a band that only the tone fills.
    band = int(np.argmax(material.content(ILL)[25:45].mean(0) / (material.content(ILL)[:18].mean(0) + 1e-3)))
    tone = content.power[:, band] > 0.2 * np.quantile(material.content(ILL)[:, band], 0.9)
    assert np.mean(tone == inside) > 0.85


def test_a_content_goes_round_without_a_jump():
    ramp = np.arange(60, dtype=np.float32)[:, None]
    closed = _closed(ramp)
    assert closed.shape == (60 - SEAM_FRAMES, 1)
    round_twice = np.concatenate([closed, closed])
    # A fade over 8 frames spreads the fall of 59 evenly.
    assert np.abs(np.diff(round_twice[:, 0])).max() < 1.2 * 59 / SEAM_FRAMES
    np.testing.assert_array_equal(closed[SEAM_FRAMES:], ramp[SEAM_FRAMES:-SEAM_FRAMES])
    np.testing.assert_array_equal(_closed(ramp[:3]), ramp[:3])


def test_an_event_at_the_end_is_heard_where_the_end_fades_into_the_start(material):
    """50 frames go round in 42: what happens from 0.84 s on is heard from the start on."""
    late = dataclasses.replace(material.recordings[ILL], events=(Event(0.9, 0.96, "wheeze"),))
    moved = dataclasses.replace(
        material, recordings=[*material.recordings[:ILL], late, *material.recordings[ILL + 1 :]]
    )
    for seed in range(40):
        # Twice round from anywhere.
        events = drawn(moved, 84, seed, shift=True).events
        assert sum(event.end_s - event.start_s for event in events) == pytest.approx(2 * 0.06)


def test_breathing_between_events_is_another_healthy_patient_s(material):
    for seed in range(20):
        content = drawn(material, seed=seed, transplant=1.0)
        assert material.recordings[content.background].label == "control group"
        assert material.patient(content.background) != material.patient(HEALTHY)
        breathing = material.content(content.background)
        np.testing.assert_array_equal(content.power[:17], breathing[:17])
        np.testing.assert_allclose(content.power[25:], material.content(ILL)[25:], rtol=1e-6)


def test_loudness_of_events_varies_by_what_is_asked_for(material):
    plain = drawn(material).power
    ratios = []
    for seed in range(200):
        content = drawn(material, seed=seed, event_gain_db=3.0)
        np.testing.assert_array_equal(content.power[:17], plain[:17])
        ratios.append(10 * np.log10(content.power[30:].sum() / plain[30:].sum()))
    assert np.std(ratios) == pytest.approx(3.0, rel=0.2)
    assert abs(np.mean(ratios)) < 0.7


def test_what_was_heard_is_varied_as_the_content_is(material):
    louder = drawn(material, event_gain_db=3.0)
    gain = np.log(louder.power[30:].sum() / material.content(ILL)[30:].sum())
    gained = (louder.normal - material.normal(ILL))[30:]
    np.testing.assert_allclose(gained, np.tile(gain / material.style(ILL).sd, (20, 1)), atol=1e-4)
    turned, plain = drawn(material, shift=True, seed=3), material.normal(ILL)
    # Past the seam, every frame is one of the recording, in both.
    where = [int(np.argmin(np.abs(plain - frame).sum(1))) for frame in turned.normal]
    same = np.abs(plain[where] - turned.normal).max(1) < 1e-4
    assert same.sum() > 40
    np.testing.assert_allclose(turned.power[same], material.content(ILL)[where][same], rtol=1e-4)


def test_healthy_recordings_stay_their_own(material):
    how = CompositionSettings(shift=False, transplant=1.0, pace=0.0)
    content = compose(material, HEALTHY, 4, 50, how, np.random.default_rng(0))
    np.testing.assert_array_equal(content.power, material.content(HEALTHY))
    assert content.events == ()


def test_units_stand_for_contents():
    class Book:
        def decode(self, units):
            return np.log(np.array([[1.0, 2.0], [3.0, 4.0]]))[units]

    np.testing.assert_allclose(content_of_units(Book(), np.array([1, 0])), [[3, 4], [1, 2]], rtol=1e-6)
