"""Policies: what chooses requests. One file each, named here."""

import importlib
from collections.abc import Callable

from resp_agent.curriculum.policies.base import CellPolicy, Policy, Transition
from resp_agent.curriculum.policies.choice import PolicyChoice, fitting, parameters_of, parse_choice
from resp_agent.errors import UserError
from resp_agent.plugins import imported, is_own

POLICIES: dict[str, str] = {
    "random": "random:RandomPolicy",
    "class-prior": "class_prior:ClassPriorPolicy",
    "static-uncertainty": "static_uncertainty:StaticUncertaintyPolicy",
    "rare-only": "rare_only:RareOnlyPolicy",
    "hard-case": "hard_case:HardCasePolicy",
    "hard-domain": "hard_domain:HardDomainPolicy",
    "rare-x-hard-domain": "hard_domain:RareHardDomainPolicy",
    "weakness": "weakness:WeaknessPolicy",
    "thinker": "thinker:ThinkerPolicy",
    "bandit-thompson": "bandits:ThompsonPolicy",
    "bandit-linucb": "bandits:LinUcbPolicy",
    "llm": "llm:LanguageModelPolicy",
}
"""Name on the command line -> `module:class` of this package, built with (labels, styles, requests_per_round,
hardness_levels) and its parameters as keywords; imported when it is asked for."""

NONE = "none"
"""The mode of a run that synthesizes nothing: the same rounds and optimizer steps with empty requests. Not a policy."""

CHOICES = (*POLICIES, NONE)
"""What a run may be asked for by name."""

__all__ = [
    "CHOICES", "NONE", "POLICIES", "CellPolicy", "Policy", "PolicyChoice", "Transition", "check_choice", "make_policy",
    "parameters_of", "parse_choice", "policy_class",
]  # fmt: skip


def policy_class(name: str) -> Callable[..., Policy]:
    """The class behind a name of `CHOICES`, or behind `module:Class`.

    Raises:
        UserError: there is none; the sentence names all that there are.
    """
    if name == NONE:
        name = "idle:IdlePolicy"
    elif name in POLICIES:
        name = POLICIES[name]
    elif is_own(name):
        return imported(name)
    else:
        raise UserError(f"there is no policy {name!r}: choose one of {', '.join(CHOICES)}, or your own as module:Class")
    module, kind = name.split(":")
    return getattr(importlib.import_module(f"{__name__}.{module}"), kind)


def check_choice(text: str) -> str:
    """The text itself, if it names a policy and parameters that the policy takes; see `parse_choice`.

    Raises:
        UserError: it does not; the sentence says what there is.
    """
    choice = parse_choice(text)
    given = fitting(choice, policy_class(choice.name))
    if not is_own(choice.name):
        # Built once to see whether it refuses a value: later would be after the first trainings.
        policy_class(choice.name)(("a label", "another"), ("a style",), 1, 1, **given)
    return text


def make_policy(
    text: str, labels: tuple[str, ...], styles: tuple[str, ...], requests_per_round: int, hardness_levels: int = 1
) -> Policy:
    """A fresh policy by name and parameters; for `none`, what fills a policy's place in a run without synthesis.

    Raises:
        UserError: no policy has that name, or it refuses its parameters.
    """
    choice = parse_choice(text)
    kind = policy_class(choice.name)
    return kind(tuple(labels), tuple(styles), requests_per_round, hardness_levels, **fitting(choice, kind))
