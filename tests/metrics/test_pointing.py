"""The pointing game: hits, chance and precision against slow plain versions and cases that are known."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from resp_agent.corpus.schema import Event
from resp_agent.metrics.pointing import hit, near_event, play, wilson

SECONDS = np.arange(20) * 0.08 + 0.04


def _events(*spans: tuple[float, float]) -> tuple[Event, ...]:
    return tuple(Event(*span, "wheeze") for span in spans)


def test_inside_and_up_to_the_tolerance_is_near():
    near = near_event(np.array([0.41, 0.42, 0.5, 0.6, 0.68, 0.69]), _events((0.5, 0.6)), 0.08)
    assert near.tolist() == [False, True, True, True, True, False]
    assert not near_event(SECONDS, ()).any()


@pytest.mark.parametrize("at", range(20))
def test_the_most_relevant_moment_decides(at):
    events = _events((0.3, 0.5), (1.0, 1.02))
    relevance = np.zeros(20)
    relevance[at] = 1
    expected = any(event.start_s - 0.08 <= SECONDS[at] <= event.end_s + 0.08 for event in events)
    assert hit(relevance, near_event(SECONDS, events)) == expected


def test_equals_share_the_hit():
    near = near_event(SECONDS, _events((0.0, 0.2)))
    relevance = np.zeros(20)
    relevance[[0, 5, 6, 7]] = 2.0
    assert hit(relevance, near) == 0.25


def _played(relevance, spans):
    return play(
        [SECONDS] * len(spans), relevance, [_events(*one) for one in spans], [str(at) for at in range(len(spans))]
    )


def test_a_relevance_that_says_nothing_scores_chance():
    spans = [[(0.1, 0.3)], [(0.0, 1.6)], [], [(1.2, 1.25)]]
    scored = _played([np.zeros(20)] * 4, spans)
    assert scored.recordings == 3
    assert scored.hit == scored.chance
    rng = np.random.default_rng(0)
    drawn = [_played(list(rng.random((4, 20))), spans).hit for _ in range(3000)]
    assert np.mean(drawn) == pytest.approx(scored.chance, abs=0.02)
    assert scored.average_precision == pytest.approx(scored.prevalence)


def test_a_perfect_relevance_scores_one():
    spans = [[(0.1, 0.3)], [], [(1.2, 1.3)]]
    right = [near_event(SECONDS, _events(*one), 0.0).astype(float) for one in spans]
    scored = _played(right, spans)
    assert (scored.hit, scored.average_precision, scored.recordings, scored.patients) == (1.0, 1.0, 2, 2)


def test_average_precision_is_the_mean_precision_where_events_are_found():
    rng = np.random.default_rng(1)
    spans = [[(0.1, 0.5)], [], [(0.9, 1.3)]]
    relevance = list(rng.random((3, 20)))
    truth = np.concatenate([near_event(SECONDS, _events(*one), 0.0) for one in spans])
    ranked = truth[np.argsort(-np.concatenate(relevance))]
    precisions = [ranked[: at + 1].mean() for at in range(len(ranked)) if ranked[at]]
    assert _played(relevance, spans).average_precision == pytest.approx(np.mean(precisions))


@pytest.mark.parametrize(("right", "trials"), [(0, 5), (7, 9), (40, 40), (123, 150)])
def test_interval_is_wilsons(right, trials):
    expected = binomtest(right, trials).proportion_ci(method="wilson")
    assert wilson(right / trials, trials) == pytest.approx((expected.low, expected.high))


def test_trials_are_patients():
    spans = [[(0.1, 0.3)]] * 6
    scored = play([SECONDS] * 6, [np.zeros(20)] * 6, [_events(*one) for one in spans], list("aabbcc"))
    assert (scored.recordings, scored.patients) == (6, 3)
    assert scored.interval == wilson(scored.hit, 3)


def test_nothing_to_play_is_no_number():
    scored = _played([np.zeros(20)], [[]])
    assert scored.recordings == 0
    assert all(math.isnan(value) for value in (scored.hit, scored.chance, scored.average_precision, *scored.interval))
