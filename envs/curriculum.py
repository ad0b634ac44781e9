"""The curriculum as a Gymnasium environment: choose what to synthesize, be paid in validation macro-F1."""

import json
import shutil
import tempfile
import time
import weakref
from dataclasses import asdict
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.error import ClosedEnvironmentError, ResetNeeded

from envs.factory import LabFactory, resolve_factory, resolve_settings
from envs.rounds import InvalidAction, Seconds, plain_shards
from resp_agent.curriculum.assessment import Assessment
from resp_agent.curriculum.credit import credits_of
from resp_agent.curriculum.lab import Lab
from resp_agent.curriculum.observation import layout, observe
from resp_agent.curriculum.request import Request
from resp_agent.curriculum.spending import allot
from resp_agent.errors import UserError
from resp_agent.randomness import seed_of
from resp_agent.settings import Settings

RESET_OPTIONS = ("synthesis", "restore")


class RespCurriculum(gymnasium.Env):
    """
    ## Description
    A generator can synthesize clips of any label in any style; a diagnoser learns from real recordings and from those
    clips. There is a budget of clips. Each round the agent says which labels and styles to ask for; the clips are
    made, the diagnoser learns for a fixed number of optimizer steps and is assessed on the validation split. The task
    is to spend the budget so that the diagnoser gains most macro-F1. The test split is never opened here.

    Letters: C labels, S styles, R requests per round, H levels of hardness. `env.unwrapped.labels` and
    `env.unwrapped.styles` name what indices mean.

    ## Action Space
    `MultiDiscrete([C, S] * R)`, and `MultiDiscrete([C, S, H] * R)` where there is more than one level of hardness.
    A cell may be named twice: the requests stay apart, each with its own draws.

    | index           | meaning                                                     | unit  | min | max   |
    | --------------- | ----------------------------------------------------------- | ----- | --- | ----- |
    | 2 i             | label of request i                                          | index | 0   | C - 1 |
    | 2 i + 1         | style of request i                                          | index | 0   | S - 1 |
    | with H > 1: 3 i | label, then at 3 i + 1 the style, then at 3 i + 2 the level | index | 0   | H - 1 |

    A round spends ceil(budget left / rounds left) clips, shared over its requests as evenly as whole clips allow; the
    first get the remainder, and a request that gets none is dropped. Level h asks for a hardness of h / (H - 1).

    ## Observation Space
    `Dict` of `Box`es of float32, all of them bounded.

    | key              | shape  | meaning                                             | unit         | min | max |
    | ---------------- | ------ | --------------------------------------------------- | ------------ | --- | --- |
    | label_f1         | (C,)   | F1 on validation                                    | 1            | 0   | 1   |
    | label_precision  | (C,)   | precision on validation                             | 1            | 0   | 1   |
    | label_recall     | (C,)   | recall on validation                                | 1            | 0   | 1   |
    | label_confidence | (C,)   | mean calibrated probability of the true label       | 1            | 0   | 1   |
    | label_held       | (C,)   | whether validation holds the label                  | 0 or 1       | 0   | 1   |
    | cell_f1          | (C, S) | F1, one-vs-rest within the style                    | 1            | 0   | 1   |
    | cell_confidence  | (C, S) | mean calibrated probability of the true label       | 1            | 0   | 1   |
    | cell_entropy     | (C, S) | mean entropy of the prediction                      | log C nats   | 0   | 1   |
    | cell_share       | (C, S) | share of validation; 0: the label's values stand in | 1            | 0   | 1   |
    | real_count       | (C, S) | real training recordings                            | n / (n + 20) | 0   | 1   |
    | synthetic_count  | (C, S) | clips synthesized so far                            | n / (n + 20) | 0   | 1   |
    | confusion        | (C, C) | of a true label (row), the share given each label   | 1            | 0   | 1   |
    | budget_left      | (1,)   | share of the budget that is not spent               | 1            | 0   | 1   |
    | last_reward      | (1,)   | reward of the last round, 0 at the start            | 1            | -1  | 1   |

    ## Rewards
    Gain in validation macro-F1 since the assessment before (with `settings.curriculum.reward` "soft-macro-f1": of the
    macro-F1 with probabilities in place of decisions), -1 to 1. Rewards of an episode sum to last score - first score.
    `info["credits"]` shares a round's reward over its requests, so that an agent can learn from each of them: see
    `resp_agent.curriculum.credit`. They sum to the reward.

    ## Starting State
    The first-trained diagnoser and no clip. The seed of `reset` moves synthesis and the order of batches only; without
    one it is drawn from the environment's own generator. A request's seed is
    `seed_of(episode seed, "round", round, "request", index)`: the same seed and actions give the same episode.

    `reset(options={"synthesis": False})` starts an episode that makes no clip: actions are ignored, rounds, optimizer
    steps and `budget_left` go as they would with clips. `reset(options={"restore": state})` goes on
    from `env.unwrapped.save()`, and does so through any wrapper.

    ## Episode End
    * Terminated when the budget is spent, or when the score reaches `settings.curriculum.target_score`.
    * Truncated at `settings.curriculum.rounds` rounds, if not terminated. The last round spends all that is left, so
      an episode that nothing else interferes with always terminates.

    ## Information
    `reset` and `step` give: `round` (rounds done), `requests` (plain data, in order), `credits` (of each), `clip_ids`,
    `shards` (path, clip_ids and seconds of audio of each), `macro_f1`, `soft_macro_f1`, `episode_seed`, `synthesis`,
    `seconds` (`Seconds`) and `assessment` (`Assessment`).

    ## Arguments
    ```python
    import gymnasium
    env = gymnasium.make("envs:RespCurriculum-v0", settings={"preset": "tiny"})
    ```

    | argument    | type                   | default                                 | meaning                        |
    | ----------- | ---------------------- | --------------------------------------- | ------------------------------ |
    | settings    | Settings, dict or None | None                                    | what changes a result          |
    | lab         | str or callable        | "resp_agent.curriculum.local:local_lab" | factory of the Lab             |
    | workspace   | str or None            | None                                    | directory of clips and weights |
    | lab_options | dict or None           | None                                    | keywords for the factory       |

    Without settings it is preset `smoke`: the smallest loop in which every part works, for checks of code.
    {"preset": "tiny"} is one that learns. The factory is called as `factory(settings, workspace, **lab_options)`; a
    string is imported as "module:name". Without a workspace there is a temporary one, removed on closing. Environments
    side by side need one each. A process that trains cannot be forked: `gymnasium.make_vec` with "async" wants
    `vector_kwargs={"context": "spawn"}`. `envs.wrappers` has flat spaces, limits and costs.

    Raises `UserError` where an argument cannot be used.

    ## Version History
    * v0: first version.
    """

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(
        self,
        settings: Settings | dict[str, Any] | None = None,
        lab: str | LabFactory = "resp_agent.curriculum.local:local_lab",
        workspace: str | None = None,
        lab_options: dict[str, Any] | None = None,
        render_mode: str | None = None,
    ):
        if render_mode is not None:
            raise UserError(f"render_mode {render_mode!r} is not offered: this environment draws nothing, leave it out")
        self.render_mode = None
        self.settings = resolve_settings(settings)
        factory = resolve_factory(lab)
        if workspace is None:
            workspace = tempfile.mkdtemp(prefix="resp-curriculum-")
            self._remove_workspace = weakref.finalize(self, shutil.rmtree, workspace, ignore_errors=True)
        else:
            self._remove_workspace = None
        self.workspace = str(workspace)
        self._lab = None
        try:
            self._lab = factory(self.settings, self.workspace, **(lab_options or {}))
        except BaseException:
            self.close()
            raise
        self.labels = tuple(self._lab.labels)
        self.styles = tuple(self._lab.styles)

        curriculum = self.settings.curriculum
        factors = [len(self.labels), len(self.styles)]
        if curriculum.hardness_levels > 1:
            factors.append(curriculum.hardness_levels)
        self._factors = len(factors)
        self.action_space = spaces.MultiDiscrete(factors * curriculum.requests_per_round)
        self.observation_space = spaces.Dict(
            {
                name: spaces.Box(low, high, shape, np.float32)
                for name, (shape, low, high) in layout(len(self.labels), len(self.styles)).items()
            }
        )
        self._state: dict[str, Any] | None = None
        self._assessment: Assessment | None = None
        self._seconds = Seconds()

    @property
    def lab(self) -> Lab:
        """The Lab, for jobs that prepare it or judge what it made.

        Raises:
            gymnasium.error.ClosedEnvironmentError: the environment is closed.
        """
        self._refuse_closed()
        return self._lab

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict, dict]:
        """Starts an episode, or goes on with a saved one. Returns (observation, info); see the class for `options`.

        Raises:
            UserError: an option is unknown.
            gymnasium.error.ClosedEnvironmentError: the environment is closed.
        """
        self._refuse_closed()
        super().reset(seed=seed)
        options = options or {}
        unknown = sorted(set(options) - set(RESET_OPTIONS))
        if unknown:
            raise UserError(f"reset has no option {unknown[0]!r}: it has {' and '.join(RESET_OPTIONS)}")
        if options.get("restore") is not None:
            return self.restore(options["restore"])
        episode_seed = int(self.np_random.integers(2**63)) if seed is None else int(seed)
        # A reset that fails leaves no half-reset episode behind.
        self._state = None
        started = time.perf_counter()
        self._assessment = self._lab.reset(episode_seed)
        self._seconds = Seconds(learn=time.perf_counter() - started)
        self._state = {
            "episode_seed": episode_seed,
            "synthesis": bool(options.get("synthesis", True)),
            "round": 0,
            "budget_left": self.settings.curriculum.budget,
            "score": self._score(self._assessment),
            "last_reward": 0.0,
            "ended": False,
            "counts": [[0] * len(self.styles) for _ in self.labels],
            "requests": [],
            "credits": [],
            "shards": [],
        }
        return self._observation(), self._info()

    def step(self, action: np.ndarray) -> tuple[dict, float, bool, bool, dict]:
        """One round: synthesize what the action asks for, learn, assess. See the class.

        Raises:
            InvalidAction: the action is not in the action space.
            gymnasium.error.ResetNeeded: no episode has begun, the last one is over, or the round before this failed.
        """
        self._refuse_closed()
        if self._state is None or self._state["ended"]:
            raise ResetNeeded("there is no episode to step: call reset() first, and again after one has ended")
        if self._state["synthesis"] and not self.action_space.contains(action):
            raise InvalidAction(f"the action {action!r} is not in {self.action_space}: give one index for each factor")
        # Until the round is whole there is no episode: after a failure only reset or restore lead on.
        state, self._state = self._state, None
        curriculum = self.settings.curriculum
        clips = allot(state["budget_left"], curriculum.rounds - state["round"], curriculum.requests_per_round)
        requests = self._requests(action, clips, state) if state["synthesis"] else []

        started = time.perf_counter()
        receipt = self._lab.synthesize(requests)
        synthesized = time.perf_counter()
        assessment = self._lab.learn()
        learned = time.perf_counter()
        credits = credits_of(self._assessment, assessment, requests, soft=self._soft)
        self._assessment = assessment
        self._seconds = Seconds(synthesized - started, learned - synthesized, receipt.cost_s)

        counts = [list(row) for row in state["counts"]]
        for request in requests:
            counts[self.labels.index(request.label)][self.styles.index(request.style)] += request.count
        score = self._score(assessment)
        reward = score - state["score"]
        done, budget_left = state["round"] + 1, state["budget_left"] - sum(clips)
        terminated = budget_left == 0 or score >= curriculum.target_score
        truncated = not terminated and done >= curriculum.rounds
        self._state = state | {
            "round": done,
            "budget_left": budget_left,
            "score": score,
            "last_reward": reward,
            "ended": terminated or truncated,
            "counts": counts,
            "requests": [asdict(request) for request in requests],
            "credits": credits,
            "shards": plain_shards(receipt),
        }
        return self._observation(), reward, terminated, truncated, self._info()

    def save(self) -> dict:
        """The episode after its last round, as plain data (JSON) with the Lab's own state under `lab`.

        Raises:
            gymnasium.error.ResetNeeded: no episode has begun.
        """
        self._refuse_closed()
        if self._state is None:
            raise ResetNeeded("there is no episode to save: call reset() first")
        return json.loads(json.dumps(self._state)) | {"lab": self._lab.save()}

    def restore(self, state: dict) -> tuple[dict, dict]:
        """Goes on from a saved episode, in this or another process. Returns (observation, info) as its last step did.

        Behind wrappers that insist on a reset, use `reset(options={"restore": state})`.
        """
        self._refuse_closed()
        self._state = None
        started = time.perf_counter()
        self._assessment = self._lab.restore(state["lab"])
        self._seconds = Seconds(learn=time.perf_counter() - started)
        self._state = json.loads(json.dumps({name: value for name, value in state.items() if name != "lab"}))
        return self._observation(), self._info()

    def close(self) -> None:
        """Closes the Lab and removes a temporary workspace. May be called more than once."""
        lab, self._lab = self._lab, None
        if lab is not None:
            lab.close()
        if self._remove_workspace is not None:
            self._remove_workspace()

    def _requests(self, action: np.ndarray, clips: list[int], state: dict) -> list[Request]:
        levels = self.settings.curriculum.hardness_levels
        return [
            Request(
                label=self.labels[choice[0]],
                style=self.styles[choice[1]],
                count=count,
                seed=seed_of(state["episode_seed"], "round", state["round"], "request", index),
                content=self.settings.generator.content,
                hardness=float(choice[2]) / (levels - 1) if levels > 1 else 0.0,
            )
            for index, (choice, count) in enumerate(zip(np.reshape(action, (-1, self._factors)), clips, strict=True))
            if count
        ]

    def _score(self, assessment: Assessment) -> float:
        return assessment.soft_macro_f1 if self._soft else assessment.macro_f1

    @property
    def _soft(self) -> bool:
        return self.settings.curriculum.reward == "soft-macro-f1"

    def _observation(self) -> dict[str, np.ndarray]:
        state = self._state
        left = state["budget_left"] / self.settings.curriculum.budget
        return observe(self._assessment, np.array(state["counts"]), left, state["last_reward"])

    def _info(self) -> dict[str, Any]:
        state = json.loads(json.dumps(self._state))
        return {
            "round": state["round"],
            "requests": state["requests"],
            # Absent in what earlier versions saved.
            "credits": state.get("credits", []),
            "shards": state["shards"],
            "clip_ids": [clip for shard in state["shards"] for clip in shard["clip_ids"]],
            "macro_f1": self._assessment.macro_f1,
            "soft_macro_f1": self._assessment.soft_macro_f1,
            "episode_seed": state["episode_seed"],
            "synthesis": state["synthesis"],
            "seconds": self._seconds,
            "assessment": self._assessment,
        }

    def _refuse_closed(self) -> None:
        if self._lab is None:
            raise ClosedEnvironmentError("the environment is closed: make a new one")
