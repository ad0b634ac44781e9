import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resp_agent.corpus.schema import Event
from resp_agent.simulation.breath import Breath
from resp_agent.simulation.pathology import LABELS, content, merged, normal_breaths
from resp_agent.taxonomy import CONTROL, EVENT_KINDS
from resp_agent.taxonomy import LABELS as TAXONOMY

KINDS = {
    "control group": set(),
    "asthma": {"wheeze"},
    "pneumonia": {"fine crackle"},
    "COPD": {"coarse crackle", "rhonchus"},
    "bronchiolitis": {"wheeze", "fine crackle", "wheeze + crackle"},
    "upper respiratory tract infection": {"stridor", "cough"},
    "chronic cough": {"cough"},
    "other respiratory disease": {"rub"},
}


def test_the_labels_are_eight_of_the_taxonomy():
    assert len(set(LABELS)) == 8
    assert set(LABELS) <= set(TAXONOMY)


@pytest.mark.parametrize("label", LABELS)
def test_each_label_is_heard_through_its_own_sounds(label):
    found = [content(label, np.random.default_rng(seed), 3.0) for seed in range(25)]
    assert {event.kind for one in found for event in one.events} == KINDS[label]
    assert all(bool(one.events) == (label != CONTROL) for one in found)


def test_about_half_of_copd_has_a_rhonchus_and_a_third_of_upper_airway_infection_a_cough():
    for label, kind, low, high in (("COPD", "rhonchus", 0.35, 0.65), (LABELS[5], "cough", 0.2, 0.47)):
        found = [content(label, np.random.default_rng(seed), 1.0).events for seed in range(100)]
        assert low < np.mean([any(event.kind == kind for event in events) for events in found]) < high


@settings(max_examples=40, deadline=None)
@given(label=st.sampled_from(LABELS), seed=st.integers(0, 2**32), duration_s=st.floats(1, 4))
def test_events_lie_in_the_clip_in_the_order_of_time(label, seed, duration_s):
    made = content(label, np.random.default_rng(seed), duration_s)
    length_s = len(made.waveform) / 16_000
    assert abs(length_s - duration_s) < 1e-4
    assert np.isfinite(made.waveform).all()
    for event in made.events:
        assert event.kind in EVENT_KINDS
        assert 0 <= event.start_s < event.end_s <= length_s + 1e-4
    assert list(made.events) == sorted(made.events, key=lambda event: event.start_s)


def test_the_overlap_of_wheeze_and_crackles_is_an_event_of_its_own():
    assert merged([Event(1.0, 2.0, "wheeze"), Event(0.5, 1.4, "fine crackle")]) == [
        Event(0.5, 1.0, "fine crackle"),
        Event(1.0, 1.4, "wheeze + crackle"),
        Event(1.4, 2.0, "wheeze"),
    ]
    apart = [Event(0.2, 0.9, "fine crackle"), Event(1.0, 2.0, "wheeze")]
    assert merged(apart) == apart
    inside = merged([Event(0.0, 2.0, "wheeze"), Event(0.5, 0.9, "fine crackle"), Event(1.2, 1.5, "fine crackle")])
    assert [(event.start_s, event.kind) for event in inside] == [
        (0.0, "wheeze"), (0.5, "wheeze + crackle"), (0.9, "wheeze"), (1.2, "wheeze + crackle"), (1.5, "wheeze"),
    ]  # fmt: skip


def test_normal_breaths_are_those_of_the_clip_without_an_event():
    breaths = [Breath(-1, 0.2, 1, 2), Breath(2, 3, 4, 5), Breath(5, 6, 7, 8), Breath(8, 9, 10, 11)]
    assert normal_breaths(breaths, (), 8.5) == 2
    assert normal_breaths(breaths, (Event(3.1, 3.2, "wheeze"),), 8.5) == 1


def test_an_unknown_label_is_refused():
    with pytest.raises(ValueError, match="no label 'hiccup'"):
        content("hiccup", np.random.default_rng(0), 3.0)
