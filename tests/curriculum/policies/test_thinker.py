import json

import numpy as np
import pytest
from scipy.stats import chisquare

from resp_agent.curriculum.observation import layout, scaled
from resp_agent.curriculum.policies import Transition, make_policy
from resp_agent.curriculum.policies.features import FEATURES, LearningProgress, cell_features
from resp_agent.randomness import stream

LABELS, STYLES = ("a", "b", "c"), ("x", "y")


def seen(**values):
    """An observation of three labels in two styles: all zero but for what is given."""
    empty = {name: np.zeros(shape, np.float32) for name, (shape, _, _) in layout(3, 2).items()}
    return empty | {"label_held": np.ones(3, np.float32)} | {k: np.asarray(v, np.float32) for k, v in values.items()}


NOTHING = np.zeros((3, 2))


def test_features_worked_out_by_hand():
    observation = seen(
        cell_f1=[[0.9, 0.5], [0.3, 0.1], [0.7, 0.5]],
        cell_share=[[0.2, 0.2], [0.2, 0.2], [0.2, 0.0]],
        cell_entropy=[[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]],
        label_recall=[0.8, 0.5, 1.0],
        confusion=[[0.8, 0.2, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]],
        real_count=scaled(np.array([[99, 0], [9, 0], [5, 5]])),
        synthetic_count=scaled(np.array([[0, 10], [0, 0], [0, 5]])),
    )
    found = cell_features(observation, NOTHING)
    assert tuple(found) == FEATURES
    np.testing.assert_allclose(found["weakness"], [[0.1, 0.5], [0.7, 0.9], [0.3, 0.5]], atol=1e-6)
    np.testing.assert_allclose(found["uncertainty"], [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], atol=1e-6)
    rarity = [1 - np.log1p(n) / np.log(100) for n in (99, 9, 10)]
    np.testing.assert_allclose(found["rarity"], np.repeat(np.array(rarity)[:, None], 2, axis=1), atol=1e-6)
    # Of a, .2 missed and .5 / 1.3 of what is called a is b; of b, .5 and .2 / .7.
    confusion = [(0.2 + 0.5 / 1.3) / 2, (0.5 + 0.2 / 0.7) / 2, 0]
    np.testing.assert_allclose(found["confusion"], np.repeat(np.array(confusion)[:, None], 2, axis=1), atol=1e-6)
    # Style x scores (.9 + .3 + .7) / 3, y (.5 + .1) / 2: its third cell is not heard there.
    np.testing.assert_allclose(found["style_gap"], [[0, 1.9 / 3 - 0.3]] * 3, atol=1e-6)
    np.testing.assert_allclose(found["novelty"], [[10 / 109, 0.5], [10 / 19, 1], [10 / 15, 0.5]], atol=1e-6)
    assert not found["progress"].any()


def test_a_label_that_validation_lacks_is_as_the_others_are_on_average():
    found = cell_features(
        seen(
            cell_f1=[[0.5, 0.5], [0.1, 0.3], [0, 0]], label_held=[1, 1, 0], cell_share=[[0.3] * 2, [0.2] * 2, [0] * 2]
        ),
        NOTHING,
    )
    np.testing.assert_allclose(found["weakness"][2], np.mean([0.5, 0.5, 0.9, 0.7]), atol=1e-6)


def test_progress_is_a_moving_average_of_what_changed():
    progress = LearningProgress((3, 2), keep=0.5)
    before, after = seen(), seen(cell_confidence=[[0.4, 0], [0.2, 0], [0, 0]])
    progress.update(before, after)
    np.testing.assert_allclose(progress.values, [[1, 0], [0.5, 0], [0, 0]], atol=1e-6)
    # Then .2 / 2 + 0, .1 / 2 + .2 / 2 in the second: falls count as rises do.
    progress.update(after, seen(cell_confidence=[[0.4, 0], [0, 0], [0, 0]]))
    np.testing.assert_allclose(progress.values, [[0.1 / 0.15, 0], [1, 0], [0, 0]], atol=1e-6)


@pytest.mark.parametrize("exploration", [0.0, 0.3])
def test_first_requests_come_as_often_as_the_softmax_says(exploration):
    observation = seen(cell_f1=[[0.9, 0.5], [0.3, 0.1], [0.7, 0.5]], cell_share=np.full((3, 2), 0.1))
    text = f"thinker:temperature=0.5:exploration={exploration}:style_gap=2"
    score = 1 - observation["cell_f1"].astype(float) + 2 * np.array([[0, 1.9 / 3 - 1.1 / 3]] * 3)
    wanted = np.exp(score / 0.5)
    wanted = (1 - exploration) * wanted / wanted.sum() + exploration / 6
    policy, rng, counts = make_policy(text, LABELS, STYLES, 1), stream(3), np.zeros((3, 2))
    for _ in range(5000):
        counts[tuple(policy.decide(observation, rng))] += 1
    assert chisquare(counts.ravel(), wanted.ravel() * 5000).pvalue > 0.001
    np.testing.assert_allclose(policy.explain()["probabilities"], wanted, rtol=1e-6)


def test_requests_of_a_round_differ_as_long_as_there_are_cells():
    observation = seen(cell_f1=[[0.9, 0.9], [0.0, 0.9], [0.9, 0.9]], cell_share=np.full((3, 2), 0.1))
    policy = make_policy("thinker:temperature=0.01", LABELS, STYLES, 9)
    cells = policy.decide(observation, stream(1)).reshape(-1, 2) @ [2, 1]
    assert cells[0] == 2
    assert sorted(cells[:6]) == list(range(6))
    assert len(set(cells[6:])) == 3


def test_near_zero_temperature_it_takes_the_best():
    f1 = np.array([[0.9, 0.5], [0.3, 0.1], [0.7, 0.6]])
    policy = make_policy("thinker:temperature=0.0001", LABELS, STYLES, 3)
    cells = policy.decide(seen(cell_f1=f1, cell_share=np.full((3, 2), 0.1)), stream(1)).reshape(-1, 2)
    assert cells.tolist() == [[1, 1], [1, 0], [0, 1]]


def test_hardness_is_the_nearest_level():
    levels = make_policy("thinker:hardness=0.6", LABELS, STYLES, 4, 3).decide(seen(), stream(1)).reshape(-1, 3)[:, 2]
    assert levels.tolist() == [1, 1, 1, 1]


def test_learning_progress_survives_a_restart():
    policy = make_policy("thinker:progress=3:temperature=0.05", LABELS, STYLES, 2)
    after = seen(cell_confidence=[[0, 0], [0, 0.5], [0, 0]])
    policy.update(Transition(seen(), np.zeros(4), 0.0, after))
    other = make_policy("thinker:progress=3:temperature=0.05", LABELS, STYLES, 2)
    other.load_state_dict(json.loads(json.dumps(policy.state_dict())))
    assert other.decide(after, stream(2)).tolist() == policy.decide(after, stream(2)).tolist()
    assert other.explain() == policy.explain()
    assert other.explain()["features"]["progress"][1][1] == 1
    with pytest.raises(ValueError, match="not its own"):
        other.load_state_dict({"mean": 1})
