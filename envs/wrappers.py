"""Wrappers around the curriculum for agents that know fewer spaces, have less time, or pay for what they use.

| id                            | observation | action                                 | agents                      |
| ----------------------------- | ----------- | -------------------------------------- | --------------------------- |
| RespCurriculum-v0             | Dict        | MultiDiscrete: a cell for each request | PPO, A2C (MultiInputPolicy) |
| RespCurriculumFlat-v0         | Box, flat   | MultiDiscrete: a cell for each request | PPO, A2C (MlpPolicy)        |
| RespCurriculumFlatDiscrete-v0 | Box, flat   | Discrete: one cell for all of a round  | DQN, tables, bandits        |
| RespCurriculumFlatBox-v0      | Box, flat   | Box: how much each cell is preferred   | SAC, TD3, DDPG              |

Flat observations are `gymnasium.wrappers.FlattenObservation`'s: the arrays of the `Dict` in alphabetical order of their
keys, each row by row; `gymnasium.spaces.unflatten(env.unwrapped.observation_space, observation)` undoes it.

| wrapper                               | what it does                                                              |
| ------------------------------------- | ------------------------------------------------------------------------- |
| `CellAction`, `PreferenceAction`      | the actions above                                                         |
| `gymnasium.wrappers.TimeLimit`        | truncates after so many rounds: `gymnasium.make(id, max_episode_steps=3)` |
| `ClockLimit`                          | truncates after so many seconds                                           |
| `CostAwareReward`                     | takes from the reward what the round's seconds cost                       |

None holds a part of the episode, so `env.unwrapped.save()` and `reset(options={"restore": state})` work through all of
them. Limits count from the last reset, of whichever kind. Every argument is plain data and recorded: `env.spec` makes
the same stack again. A wrapper that cannot be built of its arguments raises `UserError`.
"""

import math
from collections.abc import Mapping
from time import monotonic
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils import RecordConstructorArgs

from envs.curriculum import RespCurriculum
from envs.rounds import InvalidAction
from resp_agent.errors import UserError


class _CellwiseAction(gymnasium.ActionWrapper, RecordConstructorArgs):
    """What both action wrappers know: how many requests a round has, and which cells there are.

    A cell is a label and a style, and a level of hardness where there is a choice. Cells are numbered as
    `np.ravel_multi_index` does: (label x S + style) x H + level for S styles and H levels.
    """

    def __init__(self, env: gymnasium.Env, **arguments: Any):
        RecordConstructorArgs.__init__(self, **arguments)
        gymnasium.ActionWrapper.__init__(self, env)
        self.requests = _curriculum(env).settings.curriculum.requests_per_round
        if not isinstance(env.action_space, spaces.MultiDiscrete):
            raise UserError(
                f"{type(self).__name__} goes around actions of {env.unwrapped.action_space}, and here they are of "
                f"{env.action_space}: use one action wrapper"
            )
        self._factors = tuple(int(choices) for choices in env.action_space.nvec.reshape(self.requests, -1)[0])
        self.cells = math.prod(self._factors)

    def _named(self, cells: np.ndarray) -> np.ndarray:
        """The environment's own action for the cells, shape (R,), of its requests."""
        return np.stack(np.unravel_index(cells, self._factors), axis=1).ravel()

    def _refuse_outside(self, action: object) -> None:
        if not self.action_space.contains(action):
            raise InvalidAction(f"the action {action!r} is not in {self.action_space}")


class CellAction(_CellwiseAction):
    """
    All requests of a round ask for one cell.

    ## Action Space
    `Discrete(C * S)`, `Discrete(C * S * H)` where there is more than one level of hardness.

    | value             | meaning                                                  |
    | ----------------- | -------------------------------------------------------- |
    | c S + s           | label c in style s                                       |
    | (c S + s) H + h   | with H > 1: label c in style s at level h of hardness    |

    Raises `InvalidAction` where an action is not in the space.
    """

    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        self.action_space = spaces.Discrete(self.cells)

    def action(self, action: int) -> np.ndarray:
        """The cell, once for each request."""
        self._refuse_outside(action)
        return self._named(np.full(self.requests, int(action)))


class PreferenceAction(_CellwiseAction):
    """
    The requests of a round are shared over the cells by how much each is preferred.

    ## Action Space
    `Box(-1, 1, (C * S,), float32)`, `(C * S * H,)` where there is more than one level of hardness.

    | index           | meaning                                                                  | unit | min | max |
    | --------------- | ------------------------------------------------------------------------ | ---- | --- | --- |
    | c S + s         | preference for label c in style s                                        | 1    | -1  | 1   |
    | (c S + s) H + h | with H > 1: preference for label c in style s at level h of hardness     | 1    | -1  | 1   |

    A preference p is a weight of `ratio` ** (p / 2), so that one at 1 weighs `ratio` times one at -1. Requests go to
    cells one after the other by D'Hondt's highest averages: the next to the cell of the greatest weight / (requests
    it has + 1), of equal ones to the first. Preferences that are all the same name the first cells once each.

    Raises `InvalidAction` where an action is not in the space, and `UserError` where `ratio` is not above 1.
    """

    def __init__(self, env: gymnasium.Env, ratio: float = 64.0):
        super().__init__(env, ratio=ratio)
        if not 1 < ratio < math.inf:
            raise UserError(f"a ratio of {ratio} cannot tell what is preferred: give a number above 1")
        self._ratio = float(ratio)
        self.action_space = spaces.Box(-1.0, 1.0, (self.cells,), np.float32)

    def action(self, action: np.ndarray) -> np.ndarray:
        """The requests' cells, the most preferred first."""
        action = np.asarray(action, np.float32)
        self._refuse_outside(action)
        weights = self._ratio ** (action.astype(np.float64) / 2)
        averages = weights[:, None] / np.arange(1, self.requests + 1)
        # The R greatest of all averages in falling order are the seats; a stable sort settles ties by cell.
        return self._named(np.argsort(-averages, axis=None, kind="stable")[: self.requests] // self.requests)


class ClockLimit(gymnasium.Wrapper, RecordConstructorArgs):
    """Truncates an episode at the end of the first round that ends `seconds` or more after the reset returned.

    A round is never interrupted: an episode lasts longer than `seconds` by up to a round. `info["out_of_time"]` says
    whether the time was up. An episode that is over for another reason at that moment stays terminated.

    Raises `UserError` where `seconds` is not above 0.
    """

    def __init__(self, env: gymnasium.Env, seconds: float):
        RecordConstructorArgs.__init__(self, seconds=seconds)
        gymnasium.Wrapper.__init__(self, env)
        if not seconds > 0:
            raise UserError(f"a limit of {seconds} s leaves no time for a round: give seconds above 0")
        self._seconds = float(seconds)
        self._began = 0.0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        """Starts or restores an episode, and then the clock."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._began = monotonic()
        return observation, info | {"out_of_time": False}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        """One round."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        late = monotonic() - self._began >= self._seconds
        truncated = truncated or (late and not terminated)
        return observation, reward, terminated, truncated, info | {"out_of_time": late}


class CostAwareReward(gymnasium.Wrapper, RecordConstructorArgs):
    """
    ## Rewards
    reward = gain - `price` x cost: gain in validation macro-F1, less what the round's accelerator seconds are worth.
    Rewards of an episode sum to (last score - first score) - `price` x (seconds of all rounds). The price at which the
    best return is 0 is the most that can be gained for a second, and the best agent then gains it (Dinkelbach, 1967).

    | argument    | unit                 | meaning                                                                |
    | ----------- | -------------------- | ---------------------------------------------------------------------- |
    | price       | macro-F1 / second    | gain that a second must bring to be worth it                           |
    | clip_s      | seconds / clip       | of synthesizing a clip                                                 |
    | hard_clip_s | seconds / clip       | of one of some hardness, which is guided; left out: as any other       |
    | step_s      | seconds / step       | of an optimizer step of the diagnoser                                  |
    | measured    | bool                 | what the round took instead: work of synthesis + clock of learning     |

    Declared seconds depend on actions only, so an episode can be repeated. How many clips and steps a round has is not
    the agent's choice: with them it saves by hardness and by reaching the target score in fewer rounds. Measured ones
    differ from run to run, and `env.spec.nondeterministic` then says so; their learning counts one rank.

    ## Information
    `step` adds `gain`, the reward without costs, and `cost_s`, the seconds that were paid for. `last_reward` in the
    observation stays the gain.

    Raises `UserError` where a number is negative or not finite, and where seconds are both declared and measured, or
    neither.
    """

    def __init__(
        self,
        env: gymnasium.Env,
        price: float,
        clip_s: float = 0.0,
        hard_clip_s: float | None = None,
        step_s: float = 0.0,
        measured: bool = False,
    ):
        RecordConstructorArgs.__init__(
            self, price=price, clip_s=clip_s, hard_clip_s=hard_clip_s, step_s=step_s, measured=measured
        )
        gymnasium.Wrapper.__init__(self, env)
        hard_clip_s = clip_s if hard_clip_s is None else hard_clip_s
        for name, value in {"price": price, "clip_s": clip_s, "hard_clip_s": hard_clip_s, "step_s": step_s}.items():
            if not 0 <= value < math.inf:
                raise UserError(f"{name} cannot be {value}: give a number of 0 or more")
        if measured == any((clip_s, hard_clip_s, step_s)):
            raise UserError(
                "a round's seconds are either declared or measured: "
                "give clip_s, hard_clip_s and step_s, or measured=True without them"
            )
        self._price, self._measured = float(price), measured
        self._clip_s, self._hard_clip_s = float(clip_s), float(hard_clip_s)
        self._learn_s = step_s * _curriculum(env).settings.curriculum.steps_per_round

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        """One round."""
        observation, gain, terminated, truncated, info = self.env.step(action)
        cost_s = self._cost_s(info)
        info = info | {"gain": gain, "cost_s": cost_s}
        return observation, gain - self._price * cost_s, terminated, truncated, info

    @property
    def spec(self) -> EnvSpec | None:
        """The environment's, nondeterministic where seconds are measured."""
        spec = super().spec
        if spec is not None and self._measured:
            spec.nondeterministic = True
        return spec

    def _cost_s(self, info: Mapping[str, Any]) -> float:
        if self._measured:
            return info["seconds"].work + info["seconds"].learn
        clips = sum(
            request["count"] * (self._hard_clip_s if request["hardness"] > 0 else self._clip_s)
            for request in info["requests"]
        )
        return clips + self._learn_s


def _curriculum(env: gymnasium.Env) -> RespCurriculum:
    if not isinstance(env.unwrapped, RespCurriculum):
        raise UserError(f"{env.unwrapped} is no curriculum: make it by gymnasium.make('envs:RespCurriculum-v0')")
    return env.unwrapped
