"""A policy as a file: what a search found, for `--policy FILE`."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from resp_agent.curriculum.policies import check_choice
from resp_agent.durable import write_atomic
from resp_agent.errors import UserError
from resp_agent.settings import Settings, from_plain
from resp_agent.storage import fetch, shown


@dataclass(frozen=True)
class FoundPolicy:
    """A policy and the settings that belong to it."""

    policy: str
    """As on the command line."""
    settings: Settings


def read_policy(path: Path, preset: str | None = None) -> FoundPolicy:
    """The policy in a file of `write_policy`.

    Args:
        path: YAML with `policy` and, as far as they differ from their preset, `settings`.
        preset: what gives the settings that the file does not name; None: the one that the file names.

    Raises:
        UserError: the file cannot be read, or names no policy or setting that there is.
    """
    try:
        plain = yaml.safe_load(fetch(path).read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as problem:
        what = str(problem).splitlines()[0]
        raise UserError(f"the policy file {shown(path)} cannot be read ({what}): give a file that tune wrote") from None
    if not isinstance(plain, dict) or not isinstance(plain.get("policy"), str):
        raise UserError(f"{path} names no policy: give a file that tune wrote, or one with `policy: weakness`")
    settings = plain.get("settings") or {}
    if not isinstance(settings, dict):
        raise UserError(f"the settings in {path} are no group of names and values: {settings!r}")
    return FoundPolicy(
        check_choice(plain["policy"]), from_plain(settings | ({"preset": preset} if preset is not None else {}))
    )


def write_policy(path: Path, policy: str, settings: dict, **known: object) -> None:
    """Writes a policy with settings as plain data, and whatever else is known of it (score, seeds, where from)."""
    plain = {"policy": policy, "settings": settings, **known}
    write_atomic(path, yaml.safe_dump(plain, sort_keys=False).encode())
