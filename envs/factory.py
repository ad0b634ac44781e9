"""A Lab from plain data: the name of its factory, settings and a directory."""

import importlib
from collections.abc import Callable
from typing import Any

from resp_agent.curriculum.lab import Lab
from resp_agent.errors import UserError
from resp_agent.settings import Settings, from_plain, preset

LabFactory = Callable[..., Lab]
"""Called as `factory(settings, workspace, **lab_options)`."""


def resolve_settings(settings: Settings | dict[str, Any] | None) -> Settings:
    """Settings as they are, from plain data (what is not named comes from its preset, by default `tiny`), or `smoke`.

    Raises:
        UserError: a name is not a setting, or its value is none it can have.
    """
    if settings is None:
        return preset("smoke")
    if isinstance(settings, Settings):
        return settings
    if isinstance(settings, dict):
        return from_plain(settings)
    raise UserError(f'settings cannot be {settings!r}: give Settings, plain data such as {{"preset": "tiny"}}, or None')


def resolve_factory(lab: str | LabFactory) -> LabFactory:
    """The factory itself, or what a name such as "my_module:my_lab" imports.

    Raises:
        UserError: it is not a callable, or nothing of that name can be imported.
    """
    if callable(lab):
        return lab
    if not isinstance(lab, str) or lab.count(":") != 1:
        raise UserError(f'lab cannot be {lab!r}: give a callable, or its name as "module:name"')
    module, name = lab.split(":")
    try:
        factory = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"the Lab factory {lab!r} cannot be imported ({error}): check module and name") from error
    if not callable(factory):
        raise UserError(f"the Lab factory {lab!r} is not callable: give a function of (settings, workspace)")
    return factory
