import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as some

from resp_agent.curriculum.policies.llm_answer import LONGEST_RATIONALE, UnusableAnswer, read_answer

LABELS, STYLES = ("Asthma", "COPD", "Control group"), ("style 0", "Style A", "style a")
PLAN = [{"label": "COPD", "style": "style 0"}]


def read(text, requests=2, levels=3):
    return read_answer(text, LABELS, STYLES, requests, levels)


def said(plan=PLAN, rationale="why"):
    return json.dumps({"rationale": rationale, "plan": plan})


@pytest.mark.parametrize(
    "text",
    [
        said(),
        f"```json\n{said()}\n```",
        f"Sure {{as asked}}! {said()} Hope {{that}} helps.",
        f'<think>{{"plan": []}} or {said([{"label": "Asthma", "style": "style 0"}])}</think>\n{said()}',
        f"[{said()}]",
        said([{"label": " c o pd", "style": "STYLE\t0", "hardness": 0, "reason": "weak"}]),
        "{" * 300 + said(),
    ],
)
def test_the_plan_is_found_in_what_is_around_it(text):
    answer = read(text)
    assert answer.requests == ((1, 0, 0),)
    assert answer.rationale == "why"


def test_the_first_requests_count():
    plan = [{"label": "Asthma", "style": "style a", "hardness": 2}, *PLAN, {"label": "no such", "style": ""}]
    assert read(said(plan)).requests == ((0, 2, 2), (1, 0, 0))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "no text"),
        (" \n", "no text"),
        ("none", "no complete JSON object"),
        (said()[:-1], "no complete JSON object"),
        ('{"answer": 3}', "no complete JSON object"),
        (json.dumps({"answer": {"rationale": "", "plan": PLAN}}), "no complete JSON object"),
        (said({}), '"plan" is no list'),
        (said([]), '"plan" is no list'),
        (said(["COPD"]), "request 1 is no object"),
        (said([*PLAN, {"label": "Flu", "style": "style 0"}]), 'request 2: there is no label "Flu"'),
        (said([{"label": "COPD", "style": None}]), 'there is no style "null"'),
        (said([{"label": "COPD"}]), 'there is no style "null"'),
        (said([{"label": ["COPD"], "style": "style 0"}]), "there is no label that is a list"),
        (said([{"label": 1, "style": "style 0"}]), 'there is no label "1"'),
        # Two styles differ in case alone, so a third way to write it names neither.
        (said([{"label": "COPD", "style": "STYLE A"}]), "there is no style"),
        *((said([PLAN[0] | {"hardness": level}]), "from 0 to 2") for level in (-1, 3, 1.0, True, "1", None, [0])),
        (said(rationale=None), '"rationale" is no text'),
        (json.dumps({"plan": PLAN}), '"rationale" is no text'),
    ],
)
def test_what_is_wrong_is_said(text, fault):
    with pytest.raises(UnusableAnswer, match=fault.replace("(", r"\(")) as unusable:
        read(text)
    assert len(unusable.value.faults) == 1


def test_a_rationale_is_cut_and_without_control_characters():
    answer = read(said(rationale="a\x00b\x1b[31m\u202ec\ud800\n\n d" + "e" * 1000))
    assert answer.rationale.startswith("ab[31mc de")
    assert len(answer.rationale) == LONGEST_RATIONALE
    answer.rationale.encode()


def test_names_are_quoted_in_part_and_faults_are_few():
    with pytest.raises(UnusableAnswer) as unusable:
        read(said([{"label": "\x07" + "x" * 500, "style": "y"}] * 20), requests=20)
    assert len(unusable.value.faults) == 5
    assert unusable.value.faults[0] == f'request 1: there is no label "{"x" * 60}..."'


@pytest.mark.parametrize(
    "text", ["{" * 10**6, '{"a":' * 10**6, '{"a":[' * 10**6, '{"' * 10**6, "[" * 10**6, '{"\\"' * 10**6]
)
def test_what_never_ends_is_looked_through_in_no_time(text):
    began = time.monotonic()
    with pytest.raises(UnusableAnswer):
        read(text)
    assert time.monotonic() - began < 5


_VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text() | some.sampled_from(LABELS + STYLES),
    lambda inner: some.lists(inner) | some.dictionaries(some.sampled_from(["label", "style", "hardness", "x"]), inner),
    max_leaves=12,
)


@given(some.text() | some.builds(said, some.lists(_VALUES) | _VALUES, some.text() | _VALUES), some.integers(1, 3))
def test_whatever_is_said_is_a_plan_that_can_be_carried_out_or_none(text, levels):
    try:
        answer = read(text, levels=levels)
    except UnusableAnswer:
        return
    assert 1 <= len(answer.requests) <= 2
    for label, style, level in answer.requests:
        assert label in range(len(LABELS))
        assert style in range(len(STYLES))
        assert level in range(levels)
