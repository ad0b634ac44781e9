"""What is read of a policy's account of a round, and what is made of it."""

import json

import numpy as np
import pytest

from resp_agent.report.reasons import read_reason, read_reasons, short_reason

LABELS, STYLES = ("asthma", "COPD"), ("bell", "phone", "tube")


def line(why, *requests, **more) -> dict:
    asked = [dict(zip(("label", "style", "count"), request, strict=True)) for request in requests]
    return {"round": 1, "requests": asked, "why": why, **more}


THOUGHT = {
    "weights": {"weakness": 1.0, "style_gap": 0.5, "progress": -1.0},
    "features": {
        "weakness": [[0.2, 0.6, 0.0], [0.0, 1.0, 0.0]],
        "style_gap": [[0.4, 0.4, 0.4], [0.0, 0.8, 0.0]],
        "progress": [[0.0, 0.1, 0.0], [0.0, 0.0, 0.0]],
    },
}


def test_shares_weigh_every_clip_alike():
    reason = read_reason(line(THOUGHT, ("asthma", "phone", 3), ("COPD", "phone", 1)), LABELS, STYLES)
    weakness, gap = 3 * 0.6 + 1.0, 0.5 * (3 * 0.4 + 0.8)
    assert reason.shares == pytest.approx(
        {"weakness": weakness / (weakness + gap), "style_gap": gap / (weakness + gap)}
    )
    assert list(reason.shares) == ["weakness", "style_gap"], "what speaks against a cell has no share; largest first"
    np.testing.assert_allclose(reason.contributions["progress"], [[0, -0.1, 0], [0, 0, 0]])


def test_a_cell_asked_for_twice_is_one():
    reason = read_reason(line({}, ("COPD", "tube", 3), ("asthma", "bell", 4), ("COPD", "tube", 2)), LABELS, STYLES)
    assert reason.asked == {(1, 2): 5, (0, 0): 4}
    assert reason.largest() == (1, 2)


def test_of_as_many_clips_the_higher_score_is_named():
    reason = read_reason(line(THOUGHT, ("asthma", "bell", 2), ("COPD", "phone", 2)), LABELS, STYLES)
    assert reason.largest() == (1, 1)


def test_sentences_stop_where_most_is_said():
    why = THOUGHT | {"weights": THOUGHT["weights"] | {"weakness": 2.0}}
    reason = read_reason(line(why, ("asthma", "phone", 1)), LABELS, STYLES)
    assert reason.main_features == pytest.approx({"weakness": 1.2 / 1.4})
    assert list(reason.shares) == ["weakness", "style_gap"]


NO_GRIDS = (
    None, "text", 3, [], [[0.1, 0.2]], [[0.1, 0.2, 0.3], [0.1]], [[None] * 3] * 2, [[{}] * 3] * 2, [[10**400] * 3] * 2
)  # fmt: skip


@pytest.mark.parametrize("grid", NO_GRIDS)
def test_what_is_no_grid_is_not_there(grid):
    why = {"probabilities": grid, "values": grid, "uncertainty": grid, "weights": {"x": 1.0}, "features": {"x": grid}}
    reason = read_reason(line(why, ("COPD", "bell", 1)), LABELS, STYLES)
    assert reason.probabilities is reason.values is reason.uncertainty is None
    assert reason.features == reason.contributions == reason.shares == {}
    assert short_reason(line(why, ("COPD", "bell", 1)), LABELS, STYLES) == ""


def test_nan_in_a_journal_is_a_missing_value():
    why = json.loads('{"weights": {"a": 1, "b": NaN}, "features": {"a": [[NaN, 0.5, null], [0, 0, Infinity]]}}')
    reason = read_reason(line(why, ("asthma", "bell", 1), ("asthma", "phone", 1)), LABELS, STYLES)
    assert reason.weights == {"a": 1.0}
    np.testing.assert_array_equal(reason.features["a"], [[np.nan, 0.5, np.nan], [0, 0, np.nan]])
    np.testing.assert_array_equal(reason.contributions["a"], [[0, 0.5, 0], [0, 0, 0]])


@pytest.mark.parametrize("why", [None, [], "why", 3, {"weights": [], "features": 3, "why_not": "x", "rationale": None}])
def test_what_is_no_account_tells_nothing(why):
    reason = read_reason(line(why, ("COPD", "bell", 1)), LABELS, STYLES)
    assert not reason.told
    assert reason.asked == {(1, 0): 1}


def test_a_rounds_credits_are_its_own_or_what_is_said_a_round_later():
    asked = ("COPD", "bell", 2), ("asthma", "tube", 1)
    said = [{"label": "COPD", "style": "bell", "credit": 0.25}, {"label": "?", "style": "bell", "credit": 1.0}, "x"]
    rounds = [line({}, *asked), line({"credits": said}, *asked, credits=[0.5, -0.125])]
    first, second = read_reasons(rounds, LABELS, STYLES)
    assert first.credits == {(1, 0): 0.25}
    assert second.credits == {(1, 0): 0.5, (0, 2): -0.125}


@pytest.mark.parametrize(
    ("why", "told"),
    [
        ({}, ""),
        ({"probabilities": [[0.2] * 3] * 2}, ""),
        (THOUGHT, "mostly weakness, style gap"),
        ({"values": [[0, 0, 0], [0, 0.00123, 0]]}, "estimated credit +0.0012 a clip"),
        ({"values": [[0, 0, 0], [0, np.nan, 0]]}, ""),
        ({"decided_by": "llm", "rationale": "\x1b[2Jwipe"}, "chosen by the llm"),
        ({"decided_by": "llm, second answer"}, "chosen by the llm, second answer"),
        (THOUGHT | {"decided_by": "thinker"}, "mostly weakness, style gap"),
        ({"decided_by": "random"}, "chosen by random"),
    ],
)
def test_a_few_words_for_the_terminal(why, told):
    assert short_reason(line(why, ("COPD", "phone", 1)), LABELS, STYLES) == told


def test_words_for_the_terminal_are_short_and_cannot_move_its_cursor():
    name = "\x1b[31m" + "weakness of a kind " * 9
    why = {"weights": {name: 1.0}, "features": {name: [[1.0] * 3] * 2}, "decided_by": "\x1b]0;\x07" + "x" * 200}
    for account in (why, {"decided_by": why["decided_by"]}):
        told = short_reason(line(account, ("COPD", "phone", 1)), LABELS, STYLES)
        assert 0 < len(told) <= 60
        assert told.isprintable()


def test_nothing_asked_for_needs_no_reason():
    assert short_reason(line(THOUGHT), LABELS, STYLES) == ""
