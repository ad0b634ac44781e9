"""Every registered id, alone and in numbers."""

import json
import warnings

import gymnasium
import pytest
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env, data_equivalence

import envs
from envs.wrappers import ClockLimit, CostAwareReward
from resp_agent.randomness import stream

LAB = "tests.fakes:fake_lab"
SPACES = {
    "RespCurriculum-v0": (spaces.Dict, spaces.MultiDiscrete),
    "RespCurriculumFlat-v0": (spaces.Box, spaces.MultiDiscrete),
    "RespCurriculumFlatDiscrete-v0": (spaces.Box, spaces.Discrete),
    "RespCurriculumFlatBox-v0": (spaces.Box, spaces.Box),
}
STACKS = {
    "as it is": lambda env: env,
    "clock": lambda env: ClockLimit(env, seconds=3600),
    "declared": lambda env: CostAwareReward(env, price=1e-3, clip_s=0.1, step_s=0.02),
    "measured": lambda env: CostAwareReward(env, price=1e-3, measured=True),
    "all": lambda env: ClockLimit(CostAwareReward(env, price=1e-3, step_s=0.02), seconds=3600),
}


def make(id="RespCurriculum-v0", **options):
    return gymnasium.make(f"envs:{id}", lab=LAB, **options)


def play(env, seed):
    """(observation, reward, info) of an episode of random actions."""
    observation, info = env.reset(seed=seed)
    env.action_space.seed(seed % 2**31)
    steps = [(observation, 0.0, info)]
    while True:
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        steps.append((observation, reward, info))
        if terminated or truncated:
            return steps


def row_of(observations, index):
    if isinstance(observations, dict):
        return {name: values[index] for name, values in observations.items()}
    return observations[index]


def test_every_id_of_ours_is_known_here():
    ours = {name for name, spec in gymnasium.registry.items() if spec.entry_point == "envs.curriculum:RespCurriculum"}
    assert ours == set(envs.IDS) == set(SPACES)


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("id", envs.IDS)
def test_gymnasiums_checks_pass_without_a_warning(id, stack):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # The one thing that it says of every wrapper there is.
        warnings.filterwarnings("ignore", message=".*different from the unwrapped version")
        env = STACKS[stack](make(id, max_episode_steps=5))
        check_env(env)
        env.close()


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("id", envs.IDS)
def test_a_spec_makes_the_same_stack_again_from_json(id, stack):
    env = STACKS[stack](make(id, max_episode_steps=2))
    again = gymnasium.make(EnvSpec.from_json(json.loads(json.dumps(env.spec.to_json()))))
    assert str(again) == str(env)
    assert again.spec == env.spec
    if stack != "measured":
        assert env.spec.nondeterministic is False
        assert data_equivalence(play(env, 3), play(again, 3), exact=True)
    else:
        assert env.spec.nondeterministic is True


@pytest.mark.parametrize("id", envs.IDS)
def test_spaces_are_those_of_the_table(id):
    env = make(id)
    assert (type(env.observation_space), type(env.action_space)) == SPACES[id]
    row = next(line for line in envs.wrappers.__doc__.splitlines() if line.startswith(f"| {id} "))
    _, _, observation, action, *_ = (part.strip() for part in row.split("|"))
    assert observation.startswith(SPACES[id][0].__name__)
    assert action.startswith(f"{SPACES[id][1].__name__}:")


@pytest.mark.parametrize("id", envs.IDS)
def test_saved_and_restored_through_every_wrapper_it_goes_on_the_same(id):
    env = STACKS["all"](make(id))
    env.reset(seed=4)
    env.action_space.seed(4)
    actions = [env.action_space.sample() for _ in range(3)]
    env.step(actions[0])
    state = json.loads(json.dumps(env.unwrapped.save()))
    rest = [env.step(action) for action in actions[1:]]
    other = STACKS["all"](make(id))
    observation, info = other.reset(options={"restore": state})
    assert other.observation_space.contains(observation)
    assert info["round"] == 1
    assert data_equivalence(rest, [other.step(action) for action in actions[1:]], exact=True)


@pytest.mark.parametrize("id", envs.IDS)
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_vectorised_environments_are_single_ones_side_by_side(id, mode):
    """Through two ends of episodes: seeds of the later ones are drawn from each environment's own generator."""
    together = gymnasium.make_vec(f"envs:{id}", num_envs=2, vectorization_mode=mode, lab=LAB)
    alone = [make(id), make(id)]
    try:
        workspaces = {*together.get_attr("workspace"), *(env.unwrapped.workspace for env in alone)}
        assert len(workspaces) == 4

        observations, infos = together.reset(seed=5)
        expected = [env.reset(seed=5 + index) for index, env in enumerate(alone)]
        together.action_space.seed(0)
        ended = [False, False]
        for _ in range(8):
            for index in range(2):
                assert data_equivalence(row_of(observations, index), expected[index][0], exact=True)
                assert infos["episode_seed"][index] == expected[index][-1]["episode_seed"]
                assert infos["macro_f1"][index] == expected[index][-1]["macro_f1"]
            actions = together.action_space.sample()
            observations, rewards, terminations, truncations, infos = together.step(actions)
            for index, env in enumerate(alone):
                if ended[index]:
                    observation, info = env.reset()
                    expected[index] = (observation, 0.0, False, False, info)
                else:
                    expected[index] = env.step(actions[index])
                _, reward, terminated, truncated, _ = expected[index]
                assert rewards[index] == reward
                assert (terminations[index], truncations[index]) == (terminated, truncated)
                ended[index] = terminated or truncated
    finally:
        together.close()
        for env in alone:
            env.close()


@pytest.mark.slow
def test_two_hundred_random_episodes():
    """Of all ids, on Labs of all sizes: what must hold of every episode."""
    for seed in range(200):
        draws = stream(seed, "episode")
        curriculum = {
            "budget": int(draws.integers(1, 60)),
            "rounds": int(draws.integers(1, 6)),
            "requests_per_round": int(draws.integers(1, 5)),
            "hardness_levels": int(draws.integers(1, 3)),
            "reward": ["macro-f1", "soft-macro-f1"][draws.integers(2)],
            "target_score": [1.0, 0.8][draws.integers(2)],
        }
        env = make(
            list(SPACES)[draws.integers(len(SPACES))],
            settings={"preset": "smoke", "curriculum": curriculum},
            lab_options={"labels": int(draws.integers(2, 5)), "styles": int(draws.integers(1, 4))},
        )
        steps = play(env, seed)
        score = curriculum["reward"].replace("-", "_")
        gain = steps[-1][2][score] - steps[0][2][score]
        assert sum(reward for _, reward, _ in steps) == pytest.approx(gain, abs=1e-12)
        spent = sum(request["count"] for _, _, info in steps for request in info["requests"])
        assert spent <= curriculum["budget"]
        assert spent == curriculum["budget"] or steps[-1][2][score] >= curriculum["target_score"]
        assert len(steps) - 1 <= curriculum["rounds"]
        assert all(env.observation_space.contains(observation) for observation, _, _ in steps)
        assert data_equivalence(steps, play(env, seed), exact=True)
        env.close()
