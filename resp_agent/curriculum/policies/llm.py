"""A language model reads what the diagnoser scored, and decides what to synthesize."""

import re
from typing import Any

import numpy as np

from resp_agent.chat import NoAnswer
from resp_agent.chat.endpoint import ChatEndpoint
from resp_agent.chat.model import ChatModel
from resp_agent.curriculum.policies.base import Observation, Policy, Transition
from resp_agent.curriculum.policies.llm_answer import Answer, UnusableAnswer, plain_text, read_answer
from resp_agent.curriculum.policies.llm_prompt import prompt
from resp_agent.settings.checks import refuse

PATIENCE = 3
"""Rounds in a row without any answer after which an episode asks no more."""
_DECIDED_BY = ("llm", "llm, second answer")


class LanguageModelPolicy:
    """Asks a language model for a plan of each round; what it answers is checked, and another policy stands by.

    The model is told aggregate scores and the names of labels and styles, nothing of any recording; see `prompt`. An
    answer that cannot be used is asked for once more, with its faults. After a second one, or where the model gives
    none, the fallback decides.
    """

    def __init__(
        self,
        labels: tuple[str, ...],
        styles: tuple[str, ...],
        requests_per_round: int,
        hardness_levels: int = 1,
        *,
        model: str | None = None,
        endpoint: str | None = None,
        timeout_s: float = 60.0,
        temperature: float = 0.0,
        new_tokens: int = 400,
        fallback: str | Policy = "thinker",
    ):
        """
        Args:
            model: folder or hub name of a model of the transformers library, loaded when it is first asked; with an
                endpoint the name that is sent to it.
            endpoint: base address of a server that answers chats as OpenAI's does, such as http://localhost:8000/v1;
                its key, where it needs one, is in OPENAI_API_KEY.
            timeout_s: seconds that an endpoint may take for an answer.
            temperature: of sampling; 0 takes the likeliest word, so that a plan depends on the observation alone.
            new_tokens: most tokens of an answer.
            fallback: decides where the model does not: the name of a policy, or one.

        Raises:
            UserError: no model is named, the endpoint is no http address, or a number is out of range.
        """
        refuse(
            not model, "the policy llm needs a model: name a folder or a model of the hub, or what an endpoint serves"
        )
        refuse(
            not 0 < timeout_s < float("inf") or not 0 <= temperature < float("inf") or new_tokens < 1,
            f"the policy llm needs a time-out above 0, a temperature of at least 0 and at least 1 new token, not "
            f"{timeout_s:g} s, {temperature:g} and {new_tokens}",
        )
        self.labels, self.styles = tuple(labels), tuple(styles)
        self.requests_per_round, self.hardness_levels = requests_per_round, hardness_levels
        if isinstance(fallback, str):
            # The table of policies names this module.
            from resp_agent.curriculum.policies import make_policy

            fallback = make_policy(fallback, labels, styles, requests_per_round, hardness_levels)
        self.fallback = fallback
        self._options = {"temperature": temperature, "new_tokens": new_tokens}
        self._model, self._chat = model, None
        if endpoint is not None:
            self._chat = ChatEndpoint(
                endpoint, model, named="the endpoint of the policy llm", timeout_s=timeout_s, **self._options
            )
        self._silent_rounds = 0
        self._why: dict[str, Any] = {}

    def decide(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        """See `Policy.decide`.

        Raises:
            UserError: the model cannot be loaded.
        """
        # Drawn whether or not the model is asked, so that the fallback's draws do not depend on it.
        seeds = rng.integers(2**63, size=len(_DECIDED_BY)).tolist()
        answer, decided_by, faults = self._asked(observation, seeds)
        if answer:
            self._why = {"decided_by": decided_by, "rationale": answer.rationale, "why_not": faults}
            return self._action(answer)
        action = self.fallback.decide(observation, rng)
        own = {"decided_by": _name(self.fallback), "why_not": faults}
        self._why = {"rationale": ""} | self.fallback.explain() | own
        return action

    def update(self, transition: Transition) -> None:
        """The fallback learns from the round; after an episode's last one the model is asked again."""
        self.fallback.update(transition)
        if transition.terminated or transition.truncated:
            self._silent_rounds = 0

    def state_dict(self) -> dict:
        """{"silent_rounds": rounds in a row without any answer, "fallback": its state}."""
        return {"silent_rounds": self._silent_rounds, "fallback": self.fallback.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        """Goes on from a `state_dict`.

        Raises:
            ValueError: the state belongs to another policy.
        """
        if set(state) != {"silent_rounds", "fallback"}:
            raise ValueError(f"the state {sorted(state)} is not one of {type(self).__name__}")
        self.fallback.load_state_dict(state["fallback"])
        self._silent_rounds = int(state["silent_rounds"])

    def explain(self) -> dict:
        """Of the last decision; {} before the first.

        `decided_by`: `llm`, `llm, second answer`, or the name of the fallback, whose own explanation is then there too;
        `rationale`: the model's, "" of a fallback without one; `why_not`: what was wrong with answers, in sentences.
        """
        return dict(self._why)

    def _asked(self, observation: Observation, seeds: list[int]) -> tuple[Answer | None, str, list[str]]:
        """An answer and which it was, if there is a good one; what was wrong with those before."""
        if self._silent_rounds >= PATIENCE:
            return None, "", [f"the model gave no answer in {PATIENCE} rounds in a row: this episode asks no more"]
        factors = (self.labels, self.styles, self.requests_per_round, self.hardness_levels)
        faults: list[str] = []
        answered = False
        for seed, decided_by in zip(seeds, _DECIDED_BY, strict=True):
            try:
                text = self._speaker().answer(prompt(observation, *factors, faults), seed)
            except NoAnswer as problem:
                self._silent_rounds += not answered
                return None, "", [*faults, plain_text(f"the model {self._model} {problem}")]
            answered, self._silent_rounds = True, 0
            try:
                return read_answer(text, *factors), decided_by, faults
            except UnusableAnswer as problem:
                faults = list(dict.fromkeys([*faults, *problem.faults]))
        return None, "", faults

    def _speaker(self) -> ChatModel | ChatEndpoint:
        if self._chat is None:
            self._chat = ChatModel(self._model, **self._options)
        return self._chat

    def _action(self, answer: Answer) -> np.ndarray:
        """The requests in their order, from the first again where there are fewer than a round has."""
        factors = np.array(answer.requests, np.int64)[:, : 3 if self.hardness_levels > 1 else 2]
        return factors[np.arange(self.requests_per_round) % len(factors)].ravel()


def _name(policy: Policy) -> str:
    """As on the command line: `class-prior` for a ClassPriorPolicy."""
    words = re.findall("[A-Z][^A-Z]*", type(policy).__name__.removesuffix("Policy"))
    return "-".join(words).lower()
