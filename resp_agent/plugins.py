"""Classes of a user's own, by name."""

import importlib
from collections.abc import Callable

from resp_agent.errors import UserError


def is_own(name: str) -> bool:
    """Whether a name is one of `module:Class`."""
    return ":" in name


def imported(name: str) -> Callable:
    """The class or function that `module:Class` names.

    Raises:
        UserError: there is none.
    """
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as problem:
        raise UserError(f"{name!r} cannot be imported ({problem}): check module and class") from problem
    if not callable(found):
        raise UserError(f"{name!r} is not a class: name one as module:Class")
    return found
