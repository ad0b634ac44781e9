import json

import numpy as np
import pytest

from resp_agent.curriculum.observation import layout
from resp_agent.curriculum.policies import Transition, make_policy
from resp_agent.randomness import stream

LABELS, STYLES = ("a", "b", "c", "d"), ("x", "y", "z")
NAMES = ("bandit-thompson", "bandit-linucb")


def seen(f1=0.5):
    empty = {name: np.zeros(shape, np.float32) for name, (shape, _, _) in layout(4, 3).items()}
    cells = np.broadcast_to(np.asarray(f1, np.float32), (4, 3))
    return empty | {"label_held": np.ones(4, np.float32), "cell_f1": cells, "cell_share": np.full((4, 3), 1 / 12)}


def play(policy, worth, rounds, observation, seed=0):
    """Rounds in which a clip of a cell is worth `worth[c, s]`; returns how often each cell was asked for in the last
    half."""
    counts = np.zeros((4, 3))
    for number in range(rounds):
        action = policy.decide(observation, stream(seed, number)).reshape(-1, 2)
        requests = [{"label": LABELS[c], "style": STYLES[s], "count": 5} for c, s in action]
        credits = [5 * worth[c, s] for c, s in action]
        if number >= rounds // 2:
            np.add.at(counts, tuple(action.T), 1)
        info = {"requests": requests, "credits": credits}
        policy.update(Transition(observation, action.ravel(), sum(credits), observation, info=info))
    return counts


def test_thompson_finds_the_good_label_and_judges_cells_by_their_kin():
    worth = np.zeros((4, 3))
    worth[2] = 0.004
    policy = make_policy("bandit-thompson", LABELS, STYLES, 3)
    counts = play(policy, worth, 24, seen())
    assert counts[2].sum() > 0.6 * counts.sum()
    values = np.array(policy.explain()["values"])
    np.testing.assert_allclose(values[2], 0.004, atol=0.0008)
    assert values[[0, 1, 3]].max() < 0.001


def test_linucb_finds_what_makes_a_cell_worth_its_clips():
    f1 = np.linspace(0, 1, 12).reshape(4, 3)
    policy = make_policy("bandit-linucb:memory=1:alpha=0.1", LABELS, STYLES, 2)
    counts = play(policy, 0.004 * (1 - f1), 30, seen(f1))
    assert counts.ravel()[:4].sum() > 0.8 * counts.sum()


@pytest.mark.parametrize("name", NAMES)
def test_ridge_regression_is_the_oracle(name):
    """After two rounds the posterior mean is ridge regression on what was seen, older rounds fading."""
    policy = make_policy(f"{name}:memory=0.5:ridge=2:scale=0.01", LABELS, STYLES, 2)
    rows, targets, faded = [], [], []
    for number in range(2):
        observation = seen(np.full((4, 3), 0.2 + 0.3 * number))
        action = policy.decide(observation, stream(number)).reshape(-1, 2)
        known = policy._contexts(observation).reshape(4, 3, -1)
        requests = [{"label": LABELS[c], "style": STYLES[s], "count": 4 + number} for c, s in action]
        credits = [0.01 * (1 + c + s) for c, s in action]
        rows += [known[c, s] for c, s in action]
        targets += [credit / (4 + number) / 0.01 for credit in credits]
        faded += [0.5 ** (1 - number)] * 2
        info = {"requests": requests, "credits": credits}
        policy.update(Transition(observation, action.ravel(), 0.0, observation, info=info))
    x, y, w = np.array(rows), np.array(targets), np.array(faded)
    mean = np.linalg.solve(x.T @ (w[:, None] * x) + 2 * np.eye(x.shape[1]), x.T @ (w * y))
    policy.decide(observation, stream(9))
    np.testing.assert_allclose(policy.explain()["values"], 0.01 * (known @ mean), atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_what_was_learned_survives_a_restart(name):
    policy = make_policy(name, LABELS, STYLES, 3)
    play(policy, np.full((4, 3), 0.01), 3, seen())
    other = make_policy(name, LABELS, STYLES, 3)
    other.load_state_dict(json.loads(json.dumps(policy.state_dict())))
    assert other.decide(seen(), stream(5)).tolist() == policy.decide(seen(), stream(5)).tolist()
    assert other.explain() == policy.explain()
    assert len(other.explain()["credits"]) == 3
    for bad in ({}, policy.state_dict() | {"moment": [0.0], "precision": [[0.0]]}):
        with pytest.raises(ValueError, match="state"):
            other.load_state_dict(bad)


@pytest.mark.parametrize("name", NAMES)
def test_requests_without_clips_were_dropped_and_teach_nothing(name):
    policy = make_policy(name, LABELS, STYLES, 3)
    action = policy.decide(seen(), stream(0)).reshape(-1, 2)
    request = {"label": LABELS[action[0, 0]], "style": STYLES[action[0, 1]], "count": 1}
    policy.update(Transition(seen(), action.ravel(), 0.1, seen(), info={"requests": [request], "credits": [0.1]}))
    assert np.trace(policy._precision) == pytest.approx((policy._contexts(seen())[0] ** 2).sum(), abs=2)
