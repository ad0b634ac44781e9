"""The environment on the in-process Lab, with its real models, in preset `smoke`."""

import os
import shutil
import subprocess
import sys

import gymnasium
import pyarrow.parquet as pq
import pytest

CHECK = """
import time, warnings
import gymnasium

started = time.perf_counter()
with warnings.catch_warnings():
    # What third-party modules warn of while they are first imported is theirs; everything after is ours.
    env = gymnasium.make("envs:RespCurriculum-v0")
    env.reset(seed=0)
    warnings.simplefilter("error")
    from gymnasium.utils.env_checker import check_env

    check_env(env.unwrapped)
    env.close()
seconds = time.perf_counter() - started
print(f"{seconds:.1f} s")
assert seconds < 60, f"check_env took {seconds:.1f} s, more than a minute"
"""


@pytest.mark.slow
@pytest.mark.alone
def test_gymnasiums_checks_pass_within_a_minute_without_a_warning():
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CHECK], capture_output=True, text=True, timeout=300, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.slow
def test_an_episode_with_a_refreshed_generator_goes_on_bit_for_bit(tmp_path):
    settings = {"preset": "smoke", "curriculum": {"refresh_every": 1, "refresh_steps": 4}}

    def made(workspace):
        return gymnasium.make("envs:RespCurriculum-v0", settings=settings, workspace=str(workspace)).unwrapped

    def step(env, number):
        env.action_space.seed(number)
        info = env.step(env.action_space.sample())[-1]
        return info["clip_ids"], info["assessment"]

    env = made(tmp_path / "whole")
    env.reset(seed=4)
    step(env, 1)
    step(env, 2)
    state = env.save()
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    last = step(env, 3)
    env.close()
    again = made(tmp_path / "cut")
    again.restore(state)
    assert step(again, 3) == last
    again.close()
    for workspace in (tmp_path / "whole", tmp_path / "cut"):
        assert sorted(path.name for path in (workspace / "generators").iterdir()) == ["round-001", "round-002"]
        clips = pq.read_table(workspace / "synthetic", columns=["request"]).column("request").to_pylist()
        assert len(clips) == 12
        assert len({request["generator"] for request in clips}) == 3


def play():
    """Rewards, clip ids and last assessment of an episode of random actions."""
    env = gymnasium.make("envs:RespCurriculum-v0").unwrapped
    _, info = env.reset(seed=4)
    first, rewards, clips = info["macro_f1"], [], []
    env.action_space.seed(4)
    ended = False
    while not ended:
        _, reward, terminated, truncated, info = env.step(env.action_space.sample())
        rewards.append(reward)
        clips += info["clip_ids"]
        ended = terminated or truncated
    env.close()
    assert abs(sum(rewards) - (info["macro_f1"] - first)) < 1e-12
    assert len(set(clips)) == len(clips) == 12
    return rewards, clips, info["assessment"]


@pytest.mark.slow
def test_two_episodes_of_a_seed_agree_bit_for_bit():
    assert play() == play()
