"""Policies: what chooses requests. One file each, named here."""

from resp_agent.curriculum.policies.base import CellPolicy, Policy, Transition
from resp_agent.curriculum.policies.class_prior import ClassPriorPolicy
from resp_agent.curriculum.policies.idle import IdlePolicy
from resp_agent.curriculum.policies.random import RandomPolicy
from resp_agent.curriculum.policies.weakness import WeaknessPolicy
from resp_agent.errors import UserError

POLICIES: dict[str, type] = {
    "random": RandomPolicy,
    "class-prior": ClassPriorPolicy,
    "weakness": WeaknessPolicy,
}
"""Name on the command line -> class, built with (labels, styles, requests_per_round, hardness_levels)."""

NONE = "none"
"""The mode of a run that synthesizes nothing: the same rounds and optimizer steps with empty requests. Not a policy."""

CHOICES = (*POLICIES, NONE)
"""What a run may be asked for."""

__all__ = ["CHOICES", "NONE", "POLICIES", "CellPolicy", "Policy", "Transition", "check_choice", "make_policy"]


def check_choice(name: str) -> str:
    """The name itself, if it is one of `CHOICES`.

    Raises:
        UserError: it is not; the sentence names them all.
    """
    if name not in CHOICES:
        raise UserError(f"there is no policy {name!r}: choose one of {', '.join(CHOICES)}")
    return name


def make_policy(
    name: str, labels: tuple[str, ...], styles: tuple[str, ...], requests_per_round: int, hardness_levels: int = 1
) -> Policy:
    """A fresh policy by its name; for `none`, what fills a policy's place in a run without synthesis.

    Raises:
        UserError: no policy has that name.
    """
    kind = IdlePolicy if check_choice(name) == NONE else POLICIES[name]
    return kind(tuple(labels), tuple(styles), requests_per_round, hardness_levels)
