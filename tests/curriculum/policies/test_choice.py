import re
import sys
import types

import pytest

from resp_agent.curriculum.policies import PolicyChoice, check_choice, make_policy, parameters_of, parse_choice
from resp_agent.curriculum.policies.random import RandomPolicy
from resp_agent.errors import UserError


@pytest.mark.parametrize(
    ("text", "name", "parameters"),
    [
        ("weakness", "weakness", {}),
        ("thinker:temperature=0.2:novelty=1", "thinker", {"temperature": 0.2, "novelty": 1}),
        ("thinker:temperature=1e-3", "thinker", {"temperature": 0.001}),
        ("my_module:MyClass", "my_module:MyClass", {}),
        ("my.module:MyClass:depth=3:deep=true:of=null", "my.module:MyClass", {"depth": 3, "deep": True, "of": None}),
        ("llm:endpoint=http://127.0.0.1:80/v1:model=a", "llm", {"endpoint": "http://127.0.0.1:80/v1", "model": "a"}),
        ("llm:model=a/b=c", "llm", {"model": "a/b=c"}),
    ],
)
def test_text_is_read_and_written(text, name, parameters):
    choice = parse_choice(text)
    assert choice == PolicyChoice(name, parameters)
    assert parse_choice(str(choice)) == choice


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("thinker:temprature=1", "no parameter 'temprature': it takes weakness, "),
        ("random:a=1", "no parameter 'a': it takes none"),
        ("thinker:temperature=hot", "cannot be 'hot': give a number"),
        ("thinker:temperature=nan", "cannot be nan: give a number"),
        ("thinker:temperature=true", "cannot be True: give a number"),
        ("thinker:novelty=1:novelty=2", "names 'novelty' twice"),
        ("temperature=1", "has no name"),
        ("no_such_module:Policy", "cannot be imported"),
        ("json:Policy", "cannot be imported"),
        ("json:__name__", "is not a class"),
        ("greedy", "no policy 'greedy'"),
    ],
)
def test_what_cannot_be_is_answered_in_a_sentence(text, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)):
        check_choice(text)


@pytest.mark.parametrize(
    "text",
    [
        "thinker:temperature=0", "thinker:exploration=2", "thinker:hardness=-1", "bandit-linucb:alpha=-1",
        "bandit-thompson:memory=0", "bandit-thompson:ridge=0", "bandit-linucb:scale=0",
    ],
)  # fmt: skip
def test_impossible_parameters_are_refused(text):
    with pytest.raises(UserError, match=text.partition(":")[2].partition("=")[0]):
        make_policy(text, ("a", "b"), ("c",), 2)


def test_a_class_of_ones_own(monkeypatch):
    class Mine(RandomPolicy):
        def __init__(self, *fixed, depth: int = 1):
            super().__init__(*fixed)
            self.depth = depth

    module = types.ModuleType("somebodys_module")
    module.Mine = Mine
    monkeypatch.setitem(sys.modules, "somebodys_module", module)
    policy = make_policy("somebodys_module:Mine:depth=4", ("a", "b"), ("c",), 2)
    assert (policy.depth, policy.labels, policy.requests_per_round) == (4, ("a", "b"), 2)
    assert parameters_of(Mine) == {"depth": 1}
