import math

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import FlattenObservation

import envs.wrappers
from envs.rounds import InvalidAction
from envs.wrappers import CellAction, ClockLimit, CostAwareReward, PreferenceAction
from resp_agent.errors import UserError


def make(lab_options=None, **curriculum):
    return gymnasium.make(
        "envs:RespCurriculum-v0",
        lab="tests.fakes:fake_lab",
        lab_options=lab_options,
        settings={"preset": "smoke", "curriculum": curriculum},
    )


def asked(info):
    return [(int(r["label"][-1]), int(r["style"][-1]), r["hardness"]) for r in info["requests"]]


def test_flat_observations_are_the_arrays_in_alphabetical_order():
    env = FlattenObservation(make())
    observation, _ = env.reset(seed=0)
    plain, _ = make().reset(seed=0)
    assert env.observation_space.contains(observation)
    np.testing.assert_array_equal(observation, np.concatenate([plain[name].ravel() for name in sorted(plain)]))
    assert env.observation_space.low.min() == -1  # last_reward's
    assert env.observation_space.high.max() == 1


@pytest.mark.parametrize("levels", [1, 3])
def test_every_number_of_a_cell_names_it_in_all_requests(levels):
    env = CellAction(make(budget=30, requests_per_round=2, hardness_levels=levels))
    assert env.action_space.n == 4 * 3 * levels
    cells = [
        (label, style, level / (levels - 1) if levels > 1 else 0.0)
        for label in range(4)
        for style in range(3)
        for level in range(levels)
    ]
    for number, cell in enumerate(cells):
        env.reset(seed=0)
        *_, info = env.step(number)
        assert asked(info) == [cell, cell]


def test_preferences_share_requests_as_dhondt_shares_seats():
    """The textbook's example: 100, 80, 30 and 20 thousand votes for eight seats give 4, 3, 1 and 0."""
    env = PreferenceAction(make({"labels": 4, "styles": 1}, budget=48, requests_per_round=8), ratio=25.0)
    env.reset(seed=0)
    votes = np.array([100, 80, 30, 20])
    preferences = 2 * np.log(votes / math.sqrt(100 * 20)) / math.log(25)
    *_, info = env.step(preferences)
    # 100, 80, 50, 40, 33.3, 30, 26.7 and 25 thousand are the averages that win the seats.
    assert [label for label, _, _ in asked(info)] == [0, 1, 0, 1, 0, 2, 1, 0]


@pytest.mark.parametrize(
    ("preferred", "cells"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({7: 1.0}, [7, 7, 7, 7, 7]),
        ({7: 1.0, 2: 1.0}, [2, 7, 2, 7, 2]),
    ],
)
def test_preferences_may_be_for_one_cell_for_some_or_for_none(preferred, cells):
    env = PreferenceAction(make(budget=30, requests_per_round=5))
    env.reset(seed=0)
    action = np.full(12, -1.0, np.float32)
    for cell, value in preferred.items():
        action[cell] = value
    *_, info = env.step(action)
    assert [label * 3 + style for label, style, _ in asked(info)] == cells


def test_preferences_choose_a_level_of_hardness_too():
    env = PreferenceAction(make(budget=30, requests_per_round=2, hardness_levels=2))
    env.reset(seed=0)
    action = np.full(24, -1.0, np.float32)
    action[(2 * 3 + 1) * 2 + 1] = 1.0
    *_, info = env.step(action)
    assert asked(info) == [(2, 1, 1.0)] * 2


@pytest.mark.parametrize(
    ("wrapper", "action"),
    [(CellAction, 12), (CellAction, -1), (CellAction, 0.5), (PreferenceAction, np.zeros(11)),
     (PreferenceAction, np.full(12, 1.5)), (PreferenceAction, np.full(12, np.nan))],
)  # fmt: skip
def test_actions_outside_the_space_are_refused_and_cost_no_round(wrapper, action):
    env = wrapper(make())
    env.reset(seed=0)
    before = env.unwrapped.save()
    with pytest.raises(InvalidAction, match="is not in"):
        env.step(action)
    assert env.unwrapped.save() == before


def test_a_time_limit_in_rounds_is_gymnasiums():
    env = gymnasium.make("envs:RespCurriculumFlat-v0", lab="tests.fakes:fake_lab", max_episode_steps=2)
    env.reset(seed=0)
    assert [env.step(env.action_space.sample())[2:4] for _ in range(2)] == [(False, False), (False, True)]


def test_the_clock_truncates_after_the_round_in_which_time_is_up(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(envs.wrappers, "monotonic", lambda: now[0])
    env = ClockLimit(make(), seconds=10)
    _, info = env.reset(seed=0)
    assert info["out_of_time"] is False

    def after(seconds):
        now[0] += seconds
        *_, terminated, truncated, info = env.step(env.action_space.sample())
        return terminated, truncated, info["out_of_time"]

    assert after(9.9) == (False, False, False)
    assert after(0.1) == (False, True, True)
    # The clock starts anew with an episode, a restored one too.
    state = env.unwrapped.save()
    _, info = env.reset(options={"restore": state})
    assert (info["round"], info["out_of_time"]) == (2, False)
    # The last round ends the episode by itself.
    assert after(11) == (True, False, True)


def test_declared_seconds_of_clips_and_steps_are_paid_for():
    plain = make({}, budget=30, rounds=3, requests_per_round=2, steps_per_round=4, hardness_levels=2)
    env = CostAwareReward(plain, price=0.01, clip_s=0.5, hard_clip_s=2.0, step_s=0.25)
    _, first = env.reset(seed=0)
    rewards, gains = [], []
    for hard in range(2):
        _, reward, _, _, info = env.step(np.array([3, 1, 0, 3, 1, hard]))
        # Five clips a request, four steps.
        assert info["cost_s"] == pytest.approx(5 * 0.5 + 5 * (2.0 if hard else 0.5) + 4 * 0.25)
        assert reward == info["gain"] - 0.01 * info["cost_s"]
        assert isinstance(reward, float)
        rewards.append(reward)
        gains.append(info["gain"])
    assert sum(gains) == pytest.approx(info["macro_f1"] - first["macro_f1"])
    assert sum(rewards) == pytest.approx(sum(gains) - 0.01 * (6 + 13.5))


def test_a_hard_clip_costs_as_any_other_unless_said():
    env = CostAwareReward(make(budget=12, rounds=3, requests_per_round=1, hardness_levels=2), price=1, clip_s=0.5)
    env.reset(seed=0)
    assert env.step(np.array([0, 0, 1]))[4]["cost_s"] == pytest.approx(4 * 0.5)


def test_without_synthesis_only_learning_is_paid_for():
    env = CostAwareReward(make(steps_per_round=4), price=1.0, clip_s=5.0, step_s=0.25)
    env.reset(seed=0, options={"synthesis": False})
    _, reward, _, _, info = env.step(env.action_space.sample())
    assert info["cost_s"] == 1.0
    assert reward == info["gain"] - 1.0


def test_measured_seconds_are_those_of_the_round():
    env = CostAwareReward(make(requests_per_round=2), price=0.5, measured=True)
    env.reset(seed=0)
    _, reward, _, _, info = env.step(env.action_space.sample())
    # The fake Lab says a tenth of a second a request.
    assert info["cost_s"] == pytest.approx(0.2 + info["seconds"].learn)
    assert reward == info["gain"] - 0.5 * info["cost_s"]
    assert env.spec.nondeterministic
    assert not env.env.spec.nondeterministic


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (lambda: PreferenceAction(make(), ratio=1.0), "ratio of 1.0"),
        (lambda: CellAction(CellAction(make())), "use one action wrapper"),
        (lambda: PreferenceAction(CellAction(make())), "use one action wrapper"),
        (lambda: ClockLimit(make(), seconds=0), "limit of 0 s"),
        (lambda: CostAwareReward(make(), price=-1.0, clip_s=1.0), "price cannot be -1.0"),
        (lambda: CostAwareReward(make(), price=1.0, step_s=math.nan), "step_s cannot be nan"),
        (lambda: CostAwareReward(make(), price=1.0), "declared or measured"),
        (lambda: CostAwareReward(make(), price=1.0, clip_s=1.0, measured=True), "declared or measured"),
        (lambda: CellAction(gymnasium.make("CartPole-v1")), "no curriculum"),
    ],
)
def test_arguments_that_cannot_be_used_are_named(build, named):
    with pytest.raises(UserError, match=named):
        build()
