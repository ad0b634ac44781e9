import json

import numpy as np
import pytest
from scipy.stats import chisquare

from resp_agent.curriculum.observation import observe
from resp_agent.curriculum.policies import CHOICES, POLICIES, CellPolicy, Policy, Transition, make_policy, policy_class
from resp_agent.errors import UserError
from resp_agent.randomness import stream
from tests.fakes import FakeLab

DRAWS = 20_000
ALONE = [name for name in CHOICES if name != "llm"]
"""Policies that need no model; `test_llm.py` has the one that does."""


def seen(**options):
    """A fake Lab and the observation of its first assessment."""
    lab = FakeLab(**options)
    return lab, observe(lab.reset(0), np.zeros((len(lab.labels), len(lab.styles))), 1.0, 0.0)


def frequencies(policy, observation, shape):
    action = policy.decide(observation, stream(5, "policy")).reshape(-1, 2)
    counts = np.zeros(shape, int)
    np.add.at(counts, (action[:, 0], action[:, 1]), 1)
    return counts


def agree(counts, probabilities):
    """Chi-squared test of counts against a stated distribution, at 0.1 %."""
    assert counts[probabilities == 0].sum() == 0
    some = probabilities > 0
    return chisquare(counts[some], probabilities[some] * counts.sum()).pvalue > 0.001


def expected(name, lab, observation):
    """What each of the policies that draw from a distribution states, worked out by hand for the fake Lab."""
    shape = (len(lab.labels), len(lab.styles))
    f1, counts = observation["cell_f1"].astype(float), np.array([200, 60, 20, 8])
    style = f1.mean(axis=0) == f1.mean(axis=0).min()
    rare = np.array([0, 0, 1 / 20, 1 / 8])
    weights = {
        "random": np.ones(shape),
        "class-prior": np.repeat(counts[:, None], shape[1], axis=1).astype(float),
        "static-uncertainty": observation["cell_entropy"].astype(float),
        "rare-only": np.repeat(rare[:, None], shape[1], axis=1),
        "hard-case": (1 - observation["cell_confidence"].astype(float)) ** 2,
        "hard-domain": np.repeat(style[None, :], shape[0], axis=0).astype(float),
        "rare-x-hard-domain": np.outer(rare, style),
        "weakness": (1 - f1) ** 2,
    }[name]
    return weights / weights.sum()


DRAWING = [name for name in POLICIES if issubclass(policy_class(name), CellPolicy)]


@pytest.mark.parametrize("name", DRAWING)
def test_cells_come_as_often_as_stated(name):
    lab, observation = seen()
    policy = make_policy(name, lab.labels, lab.styles, DRAWS)
    wanted = expected(name, lab, observation)
    assert agree(frequencies(policy, observation, wanted.shape), wanted)
    np.testing.assert_allclose(policy.explain()["probabilities"], wanted, rtol=1e-6)


@pytest.mark.parametrize("name", ALONE)
def test_contract(name):
    lab, observation = seen()
    policy = make_policy(name, lab.labels, lab.styles, 8)
    assert isinstance(policy, Policy)
    assert policy.explain() == {}
    action = policy.decide(observation, stream(1))
    assert action.shape == (16,)
    assert action.dtype == np.int64
    np.testing.assert_array_equal(action, make_policy(name, lab.labels, lab.styles, 8).decide(observation, stream(1)))
    requests = [{"label": lab.labels[c], "style": lab.styles[s], "count": 5} for c, s in action.reshape(-1, 2)]
    info = {"requests": requests, "credits": [0.1 / 8] * 8}
    policy.update(Transition(observation, action, 0.1, observation, info=info))
    state = json.loads(json.dumps(policy.state_dict()))
    other = make_policy(name, lab.labels, lab.styles, 8)
    other.load_state_dict(state)
    np.testing.assert_array_equal(policy.decide(observation, stream(2)), other.decide(observation, stream(2)))
    json.dumps(policy.explain())


@pytest.mark.parametrize("name", ALONE)
def test_levels_of_hardness_are_a_third_index_and_all_are_drawn(name):
    lab, observation = seen()
    action = make_policy(name, lab.labels, lab.styles, 200, 3).decide(observation, stream(4)).reshape(200, 3)
    plain = make_policy(name, lab.labels, lab.styles, 200).decide(observation, stream(4)).reshape(200, 2)
    # Cells are those that are drawn without levels.
    np.testing.assert_array_equal(action[:, :2], plain)
    counts = np.bincount(action[:, 2], minlength=3)
    assert counts.tolist() == [200, 0, 0] if name in ("none", "thinker") else (counts > 40).all()


def test_weakness_asks_for_labels_not_held_as_often_as_for_the_average_cell():
    lab, observation = seen(unheld=(1,))
    policy = make_policy("weakness", lab.labels, lab.styles, 4)
    weights = policy.weights(observation)
    held = (1 - observation["cell_f1"][[0, 2, 3]].astype(float)) ** 2
    np.testing.assert_allclose(weights[[0, 2, 3]], held)
    np.testing.assert_allclose(weights[1], held.mean())


def test_without_synthesis_nothing_is_drawn():
    lab, observation = seen()
    rng = stream(3)
    before = rng.bit_generator.state
    policy = make_policy("none", lab.labels, lab.styles, 2)
    assert policy.decide(observation, rng).tolist() == [0, 0, 0, 0]
    assert rng.bit_generator.state == before
    assert policy.explain() == {}


def test_weights_of_zero_are_uniform():
    lab, observation = seen()
    perfect = observation | {"cell_f1": np.ones_like(observation["cell_f1"])}
    policy = make_policy("weakness", lab.labels, lab.styles, DRAWS)
    assert agree(frequencies(policy, perfect, (4, 3)), np.full((4, 3), 1 / 12))


def test_an_unknown_name_is_answered_with_all_choices():
    with pytest.raises(UserError, match="no policy 'greedy'") as caught:
        make_policy("greedy", ("a",), ("b",), 1)
    for name in CHOICES:
        assert name in str(caught.value)
    assert "none" in CHOICES


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_weights_that_are_no_distribution_are_refused(bad):
    class Broken(CellPolicy):
        def weights(self, observation):
            return np.full((1, 2), bad)

    with pytest.raises(ValueError, match="weights of cells"):
        Broken(("a",), ("b", "c"), 1).decide({}, stream(0))


def test_the_state_of_another_policy_is_refused():
    with pytest.raises(ValueError, match="not its own"):
        make_policy("random", ("a",), ("b",), 1).load_state_dict({"mean": 1})
