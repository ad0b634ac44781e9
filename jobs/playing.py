"""An episode of the curriculum as benchmarks and searches play it: nothing is journalled, rounds come one by one."""

from typing import Any

import gymnasium

from resp_agent.curriculum.policies import NONE, Transition, make_policy
from resp_agent.randomness import stream


class Playing:
    """An episode that a policy plays on an environment, from the first-trained diagnoser on.

    Draws are those of `resp-agent curriculum` with the same settings and policy.
    """

    def __init__(self, env: gymnasium.Env, policy: str):
        lab, settings = env.unwrapped.lab, env.unwrapped.settings
        synthesis, how = policy != NONE, settings.curriculum
        lab.prepare(synthesis)
        self._env, self._seed = env, settings.seed
        self._policy = make_policy(policy, lab.labels, lab.styles, how.requests_per_round, how.hardness_levels)
        self._observation, self.info = env.reset(seed=settings.seed, options={"synthesis": synthesis})
        self.ended = False
        self.rewards: list[float] = []
        self.scores: list[float] = [self.info["macro_f1"]]
        """Validation macro-F1, before the first round and after each."""
        self.clips = 0

    def round(self) -> dict[str, Any]:
        """Plays a round; returns what the environment says of it."""
        action = self._policy.decide(self._observation, stream(self._seed, "policy", self.info["round"]))
        before = self._observation
        self._observation, reward, terminated, truncated, self.info = self._env.step(action)
        self._policy.update(Transition(before, action, reward, self._observation, terminated, truncated, self.info))
        self.rewards.append(reward)
        self.scores.append(self.info["macro_f1"])
        self.clips += len(self.info["clip_ids"])
        self.ended = terminated or truncated
        return self.info

    def to_the_end(self) -> list[dict[str, Any]]:
        """Plays all rounds that are left; returns what the environment said of each."""
        told = []
        while not self.ended:
            told.append(self.round())
        return told
