"""Which policy, with which parameters: as text on a command line, and as the class behind it."""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from resp_agent.errors import UserError

Value = float | int | bool | str | None
FIXED = ("labels", "styles", "requests_per_round", "hardness_levels")
"""What every policy is built with, in this order; its further arguments are its parameters."""
_WORDS: dict[str, Value] = {"true": True, "false": False, "null": None}


@dataclass(frozen=True)
class PolicyChoice:
    """A policy by name, and those of its parameters that are not left as they are."""

    name: str
    """Of the table of policies, or `module:Class` of a user's own."""
    parameters: Mapping[str, Value] = field(default_factory=dict)

    def __str__(self) -> str:
        return ":".join([self.name, *(f"{name}={_told(value)}" for name, value in self.parameters.items())])


def parse_choice(text: str) -> PolicyChoice:
    """`thinker`, `thinker:temperature=0.2:novelty=1` or `my_module:MyClass:depth=3` as a choice.

    Raises:
        UserError: a parameter is named twice or comes before the name.
    """
    parts = text.split(":")
    named = next((at for at, part in enumerate(parts) if "=" in part), len(parts))
    name, given = ":".join(parts[:named]), ":".join(parts[named:])
    parameters: dict[str, Value] = {}
    # An address such as http://host:80 is one value: only a colon before the next `key=` parts two of them.
    for part in _assignments(given):
        key, _, value = part.partition("=")
        if key in parameters:
            raise UserError(f"the policy {text!r} names {key!r} twice: name it once")
        parameters[key] = _value(value)
    if not name:
        raise UserError(f"the policy {text!r} has no name: write it as name or name:parameter=value")
    return PolicyChoice(name, parameters)


def parameters_of(kind: Callable) -> dict[str, Value]:
    """Name -> value, if nobody says otherwise, of the parameters that a class of policies takes."""
    return {
        name: parameter.default
        for name, parameter in inspect.signature(kind).parameters.items()
        if name not in FIXED and parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    }


def fitting(choice: PolicyChoice, kind: Callable) -> dict[str, Value]:
    """The choice's parameters as keywords for a class.

    Raises:
        UserError: the class takes no such parameter, or a value is no number where one is needed.
    """
    known, given = parameters_of(kind), {}
    for name, value in choice.parameters.items():
        if name not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise UserError(f"the policy {choice.name!r} has no parameter {name!r}: {takes}")
        number = isinstance(known[name], (int, float)) and not isinstance(known[name], bool)
        if number and (isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value)):
            raise UserError(f"{name} of the policy {choice.name!r} cannot be {value!r}: give a number")
        given[name] = float(value) if isinstance(known[name], float) else value
    return given


def _assignments(text: str) -> list[str]:
    parts: list[str] = []
    for part in text.split(":") if text else []:
        key, equals, _ = part.partition("=")
        if equals and key.isidentifier():
            parts.append(part)
        else:
            parts[-1] += ":" + part
    return parts


def _value(text: str) -> Value:
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return _WORDS.get(text, text)


def _told(value: Value) -> str:
    return next((word for word, meant in _WORDS.items() if meant is value), str(value))
