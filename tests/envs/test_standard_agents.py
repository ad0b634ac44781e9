"""Stable-Baselines3's agents, as they are, learn on the environment."""

import warnings

import gymnasium
import numpy as np
import pytest
from stable_baselines3 import DQN, PPO, SAC
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.evaluation import evaluate_policy

from envs.wrappers import CostAwareReward

LAB = "tests.fakes:fake_lab"
SHORT = {"n_steps": 64, "batch_size": 32, "n_epochs": 2}
AGENTS = {
    "dictionary": (PPO, "MultiInputPolicy", "RespCurriculum-v0", SHORT),
    "flat": (PPO, "MlpPolicy", "RespCurriculumFlat-v0", SHORT),
    "discrete": (DQN, "MlpPolicy", "RespCurriculumFlatDiscrete-v0", {"learning_starts": 32, "buffer_size": 256}),
    "preferences": (SAC, "MlpPolicy", "RespCurriculumFlatBox-v0", {"learning_starts": 200, "buffer_size": 256}),
}


def weights(model):
    return np.concatenate([tensor.detach().numpy().ravel() for tensor in model.policy.parameters()])


def agent_of(name, seed=1):
    kind, policy, id, options = AGENTS[name]
    return kind(policy, gymnasium.make(f"envs:{id}", lab=LAB), seed=seed, device="cpu", **options)


@pytest.mark.parametrize("name", AGENTS)
def test_they_train_and_act(name):
    model = agent_of(name)
    before = weights(model)
    model.learn(256)
    after = weights(model)
    assert model.num_timesteps == 256
    assert np.all(np.isfinite(after))
    assert not np.array_equal(before, after)

    env = gymnasium.make(f"envs:{AGENTS[name][2]}", lab=LAB)
    observation, _ = env.reset(seed=0)
    action, _ = model.predict(observation, deterministic=True)
    assert env.action_space.contains(action)
    *_, info = env.step(action)
    assert info["clip_ids"]


def test_a_seed_trains_the_same_weights():
    first, second = (weights(agent_of("dictionary", seed=2).learn(64)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("id", [id for _, _, id, _ in AGENTS.values()])
def test_their_own_check_passes(id):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Of arrays (C, S) in a Dict; MultiInputPolicy flattens them itself.
        warnings.filterwarnings("ignore", message=".*unconventional shape")
        check_env(CostAwareReward(gymnasium.make(f"envs:{id}", lab=LAB), price=1e-3, step_s=0.01))


@pytest.mark.slow
def test_ppo_finds_what_pays():
    """On the fake Lab weak cells pay most: what is learned gains more than what is drawn at random."""
    plain = {"preset": "smoke", "curriculum": {"budget": 60, "requests_per_round": 1}}
    env = gymnasium.make("envs:RespCurriculumFlat-v0", lab=LAB, settings=plain)
    model = PPO("MlpPolicy", env, seed=0, device="cpu", n_steps=96, batch_size=48, learning_rate=3e-3, gamma=1.0)
    untrained, _ = evaluate_policy(model, model.get_env(), n_eval_episodes=40, deterministic=False)
    model.learn(960)
    learned, _ = evaluate_policy(model, model.get_env(), n_eval_episodes=40, deterministic=False)
    assert learned > untrained + 0.015


@pytest.mark.slow
def test_ppo_trains_on_the_real_lab():
    env = gymnasium.make("envs:RespCurriculum-v0", settings={"preset": "smoke"})
    model = PPO("MultiInputPolicy", env, seed=0, device="cpu", n_steps=6, batch_size=6, n_epochs=1)
    before = weights(model)
    model.learn(12)
    assert model.num_timesteps == 12
    assert not np.array_equal(before, weights(model))
    env.close()
