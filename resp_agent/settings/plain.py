"""Settings as plain data and back, and their content names."""

import dataclasses
import json
import types
import typing
from dataclasses import asdict, fields, is_dataclass
from typing import Any, Literal

from resp_agent.errors import UserError
from resp_agent.randomness import digest
from resp_agent.settings.presets import preset


def fingerprint(*parts: Any) -> str:
    """A content name of settings and plain values: equal if and only if they are."""
    plain = [asdict(part) if is_dataclass(part) else part for part in parts]
    return digest(json.dumps(plain, sort_keys=True), size=8)


def to_plain(settings: Any) -> dict:
    """Settings as plain data, for YAML or JSON."""
    return json.loads(json.dumps(asdict(settings)))


def from_plain(data: dict, base: Any = None) -> Any:
    """Settings from plain data: `data["preset"]` (or `base`) gives what is not named.

    Raises:
        UserError: a name is not a setting, or a value is not of its type.
    """
    if base is None:
        base = preset(data.get("preset", "tiny"))
    known = {entry.name: entry for entry in fields(base)}
    hints = typing.get_type_hints(type(base))
    changes = {}
    for name, value in data.items():
        if name not in known:
            raise UserError(f"{type(base).__name__} has no setting {name!r}: it has {', '.join(known)}")
        current = getattr(base, name)
        if is_dataclass(current):
            if not isinstance(value, dict):
                raise UserError(f"setting {name!r} is a group: give its members, not {value!r}")
            changes[name] = from_plain(value, current)
        else:
            changes[name] = _typed(name, value, hints[name])
    return dataclasses.replace(base, **changes)


def _typed(name: str, value: Any, hint: Any) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        ok = value in args
    elif origin is tuple:
        ok = isinstance(value, (list, tuple))
        value = tuple(value) if ok else value
    elif origin is types.UnionType:
        ok = True
    elif hint is float:
        ok = isinstance(value, (int, float)) and not isinstance(value, bool)
        value = float(value) if ok else value
    elif hint is int:
        ok = isinstance(value, int) and not isinstance(value, bool)
    else:
        ok = isinstance(value, hint)
    if not ok:
        raise UserError(f"setting {name!r} cannot be {value!r}: it is {hint}")
    return value
