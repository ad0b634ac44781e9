import dataclasses
import json
import os
import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ClosedEnvironmentError, ResetNeeded
from gymnasium.utils.env_checker import check_env, data_equivalence
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from envs.rounds import InvalidAction
from resp_agent.errors import RunFailed, UserError
from resp_agent.randomness import seed_of, stream
from resp_agent.settings import preset
from tests.fakes import FakeLab


def make(lab_options=None, settings=None, **curriculum):
    """An environment on a fake Lab, with no wrapper around it."""
    plain = settings or {"preset": "smoke", "curriculum": curriculum}
    options = {"lab": "tests.fakes:fake_lab", "lab_options": lab_options, "settings": plain}
    return gymnasium.make("envs:RespCurriculum-v0", **options).unwrapped


def play(env, seed, first=None, options=None):
    """Steps of an episode of random actions, from `first` = (observation, info) on or from a reset."""
    if first is None:
        first = env.reset(seed=seed, options=options)
    steps = [(*first, None)]
    while True:
        rng = stream(seed, "actions", steps[-1][1]["round"])
        action = rng.integers(env.action_space.nvec)
        observation, reward, terminated, truncated, info = env.step(action)
        assert env.observation_space.contains(observation)
        steps.append((observation, info, reward))
        if terminated or truncated:
            return steps, terminated, truncated


episodes = st.fixed_dictionaries(
    {
        "budget": st.integers(1, 90),
        "rounds": st.integers(1, 7),
        "requests_per_round": st.integers(1, 5),
        "reward": st.sampled_from(["macro-f1", "soft-macro-f1"]),
        "target_score": st.sampled_from([1.0, 0.8]),
    }
)
labs = st.fixed_dictionaries({"labels": st.integers(2, 5), "styles": st.integers(1, 3)}).flatmap(
    lambda sizes: st.sampled_from([sizes, sizes | {"unheld": (0,)}])
)


@hypothesis_settings(max_examples=30, deadline=None)
@given(curriculum=episodes, lab=labs, seed=st.integers(0, 2**63 - 1), cut=st.integers(0, 6), synthesis=st.booleans())
def test_any_episode(curriculum, lab, seed, cut, synthesis):
    env = make(lab, **curriculum)
    options = {"synthesis": synthesis}
    steps, terminated, truncated = play(env, seed, options=options)

    # Rewards sum to the final gain, in the score that pays.
    score = "macro_f1" if curriculum["reward"] == "macro-f1" else "soft_macro_f1"
    rewards = [reward for _, _, reward in steps[1:]]
    gain = steps[-1][1][score] - steps[0][1][score]
    assert sum(rewards) == pytest.approx(gain, abs=1e-12)
    assert all(isinstance(reward, float) for reward in rewards)

    # The budget is spent whole unless the target came first, and is never exceeded.
    asked = [[request["count"] for request in info["requests"]] for _, info, _ in steps]
    reached = steps[-1][1][score] >= curriculum["target_score"]
    assert sum(map(sum, asked)) <= curriculum["budget"]
    assert terminated
    assert not truncated
    assert len(steps) - 1 <= curriculum["rounds"]
    assert (steps[-1][0]["budget_left"] == 0) or reached
    if synthesis and not reached:
        assert sum(map(sum, asked)) == curriculum["budget"]
    assert all(count > 0 for counts in asked for count in counts)
    assert all(len(counts) <= curriculum["requests_per_round"] for counts in asked)
    if not synthesis:
        assert [info["clip_ids"] for _, info, _ in steps] == [[]] * len(steps)
        assert env.lab.asked == [[]] * (len(steps) - 1)

    # The same seed and actions: the same trajectory, in this environment and in another.
    for other in (env, make(lab, **curriculum)):
        assert data_equivalence(steps, play(other, seed, options=options)[0], exact=True)

    # Saved at any round and restored elsewhere, it goes on as if nothing had happened.
    cut = min(cut, len(steps) - 2)
    env.reset(seed=seed, options=options)
    for done in range(cut):
        env.step(stream(seed, "actions", done).integers(env.action_space.nvec))
    state = json.loads(json.dumps(env.save()))
    other = make(lab, **curriculum)
    first = other.restore(state)
    assert data_equivalence(first, steps[cut][:2], exact=True)
    rest, *_ = play(other, seed, first=first)
    assert data_equivalence(rest[1:], steps[cut + 1 :], exact=True)


def test_without_synthesis_rounds_and_budget_go_as_with_it():
    env = make(budget=11, rounds=4)
    with_clips, *_ = play(env, 3)
    without, *_ = play(env, 3, options={"synthesis": False})
    assert [s[0]["budget_left"] for s in with_clips] == [s[0]["budget_left"] for s in without]
    assert not np.any(without[-1][0]["synthetic_count"])
    assert [info["synthesis"] for _, info, _ in without] == [False] * 5


def test_clips_of_weak_cells_pay():
    env = make(budget=60, rounds=3, requests_per_round=2)
    env.reset(seed=0)
    total = sum(env.step(np.array([3, 1, 3, 2]))[1] for _ in range(3))
    assert total > 0.05


def test_requests_say_what_the_action_said():
    env = make(budget=10, rounds=3, requests_per_round=3)
    env.reset(seed=7)
    _, _, _, _, info = env.step(np.array([2, 1, 2, 1, 0, 0]))
    assert info["round"] == 1
    assert [(r["label"], r["style"], r["count"]) for r in info["requests"]] == [
        ("label 2", "style 1", 2),
        ("label 2", "style 1", 1),
        ("label 0", "style 0", 1),
    ]
    assert [r["seed"] for r in info["requests"]] == [seed_of(7, "round", 0, "request", i) for i in range(3)]
    assert {r["content"] for r in info["requests"]} == {"planned"}
    assert len(set(info["clip_ids"])) == 4
    assert [len(shard["clip_ids"]) for shard in info["shards"]] == [2, 1, 1]
    assert set(dataclasses.asdict(info["seconds"])) == {"synthesize", "learn", "work"}
    json.dumps({name: value for name, value in info.items() if name not in ("seconds", "assessment")})


def test_levels_of_hardness_are_a_third_factor():
    settings = preset("smoke")
    settings = dataclasses.replace(settings, curriculum=dataclasses.replace(settings.curriculum, hardness_levels=3))
    env = make(settings=settings)
    assert env.action_space.nvec.tolist() == [4, 3, 3] * 2
    env.reset(seed=0)
    _, _, _, _, info = env.step(np.array([1, 0, 0, 1, 2, 2]))
    assert [(r["label"], r["style"], r["hardness"]) for r in info["requests"]] == [
        ("label 1", "style 0", 0.0),
        ("label 1", "style 2", 1.0),
    ]


def test_without_a_seed_episodes_are_drawn_from_the_generator():
    env = make()
    env.reset(seed=1)
    seeds = [env.reset()[1]["episode_seed"] for _ in range(3)]
    assert len(set(seeds)) == 3
    env.reset(seed=1)
    assert [env.reset()[1]["episode_seed"] for _ in range(3)] == seeds


@pytest.mark.parametrize("lab_options", [None, {"unheld": (0,)}, {"labels": 2, "styles": 1}])
def test_gymnasiums_checks_pass_without_a_warning(lab_options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gymnasium.make("envs:RespCurriculum-v0", lab="tests.fakes:fake_lab", lab_options=lab_options)
        check_env(env.unwrapped)
        env.close()


def test_it_is_made_with_nothing_imported_but_gymnasium():
    script = (
        "import gymnasium, sys, warnings\n"
        "warnings.simplefilter('error')\n"
        "env = gymnasium.make('envs:RespCurriculum-v0', lab='tests.fakes:fake_lab')\n"
        "env.reset(seed=0); env.step(env.action_space.sample()); env.close()\n"
        "assert not {'ray', 'deepspeed', 'torch'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


def test_vectorised():
    envs = gymnasium.make_vec("envs:RespCurriculum-v0", num_envs=3, lab="tests.fakes:fake_lab")
    observations, _ = envs.reset(seed=5)
    assert observations["cell_f1"].shape == (3, 4, 3)
    for _ in range(5):
        observations, rewards, *_ = envs.step(envs.action_space.sample())
    assert rewards.shape == (3,)
    envs.close()


def test_restoring_passes_through_wrappers():
    env = gymnasium.make("envs:RespCurriculum-v0", lab="tests.fakes:fake_lab")
    env.reset(seed=2)
    env.step(env.action_space.sample())
    state = env.unwrapped.save()
    other = gymnasium.make("envs:RespCurriculum-v0", lab="tests.fakes:fake_lab")
    _, info = other.reset(options={"restore": state})
    assert info["round"] == 1
    other.step(other.action_space.sample())


def test_steps_outside_an_episode_are_refused():
    env = make()
    action = env.action_space.sample()
    with pytest.raises(ResetNeeded):
        env.step(action)
    with pytest.raises(ResetNeeded):
        env.save()
    play(env, 0)
    with pytest.raises(ResetNeeded):
        env.step(action)
    restored = make()
    restored.restore(env.save())
    with pytest.raises(ResetNeeded):
        restored.step(action)


@pytest.mark.parametrize("action", [[0, 0], [0, 0, 0, 3], [-1, 0, 0, 0], [0.5, 0, 0, 0], "all", None])
def test_actions_outside_the_space_are_refused_and_change_nothing(action):
    env = make()
    env.reset(seed=0)
    before = env.save()
    with pytest.raises(InvalidAction, match="give one index for each factor"):
        env.step(action)
    assert env.save() == before


def test_a_failed_round_leaves_no_half_episode():
    class Failing(FakeLab):
        def learn(self):
            raise RunFailed("the loss is not a number")

    env = gymnasium.make("envs:RespCurriculum-v0", lab=lambda settings, workspace: Failing()).unwrapped
    env.reset(seed=0)
    with pytest.raises(RunFailed):
        env.step(env.action_space.sample())
    with pytest.raises(ResetNeeded):
        env.step(env.action_space.sample())


def test_a_temporary_workspace_goes_and_a_given_one_stays(tmp_path):
    env = make()
    assert os.path.isdir(env.workspace)
    lab = env.lab
    env.close()
    env.close()
    assert lab.closed
    assert not os.path.exists(env.workspace)
    with pytest.raises(ClosedEnvironmentError):
        env.reset()
    given = gymnasium.make("envs:RespCurriculum-v0", lab="tests.fakes:fake_lab", workspace=str(tmp_path))
    assert given.unwrapped.workspace == str(tmp_path)
    given.close()
    assert tmp_path.is_dir()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"lab": "nowhere:at_all"}, "nowhere:at_all"),
        ({"lab": "tests.fakes:missing"}, "tests.fakes:missing"),
        ({"lab": "tests.fakes:not_a_factory"}, "not callable"),
        ({"lab": "tests.fakes"}, "module:name"),
        ({"lab": 3}, "module:name"),
        ({"settings": 3}, "settings cannot be 3"),
        ({"settings": {"preset": "huge"}}, "huge"),
        ({"settings": {"curriculum": {"budget": 0}}}, "budget of 0"),
        ({"render_mode": "human"}, "human"),
    ],
)
def test_arguments_that_cannot_be_used_are_named(arguments, named):
    from envs.curriculum import RespCurriculum

    with pytest.raises(UserError, match=named):
        RespCurriculum(**({"lab": "tests.fakes:fake_lab"} | arguments))


def test_an_unknown_option_of_reset_is_named():
    env = make()
    with pytest.raises(UserError, match="synthesise"):
        env.reset(options={"synthesise": False})


def test_the_docstring_lists_the_observation():
    from envs.curriculum import RespCurriculum

    section = RespCurriculum.__doc__.split("## Observation Space")[1].split("##")[0]
    rows = [
        [part.strip() for part in line.split("|")[1:-1]] for line in section.splitlines() if line.strip()[:1] == "|"
    ]
    letters = {"C": 4, "S": 3, "1": 1}
    space = make().observation_space
    assert [row[0] for row in rows[2:]] == [name for name in sorted(space, key=[r[0] for r in rows[2:]].index)]
    assert len(rows) - 2 == len(space)
    for name, shape, _, _, low, high in rows[2:]:
        assert space[name].shape == tuple(
            letters[part.strip()] for part in shape.strip("()").split(",") if part.strip()
        )
        assert (space[name].low.min(), space[name].high.max()) == (float(low), float(high))
