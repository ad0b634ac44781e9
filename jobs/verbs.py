"""Jobs with verbs of their own: each a settings class and what is done with it."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import tyro

Verbs = dict[str, tuple[type, Callable[[Any], int]]]
"""Verb -> the class whose fields are its flags, and what is done with an instance; its exit code is returned."""


def run_verb(prog: str, verbs: Verbs, argv: Sequence[str] | None) -> int:
    """Does what the command line says; `--help` shows every verb with its class's docstring."""
    return tyro.extras.subcommand_cli_from_dict(
        {name: _callable(kind, do) for name, (kind, do) in verbs.items()},
        args=argv,
        prog=prog,
        config=(tyro.conf.OmitSubcommandPrefixes,),
    )


def _callable(kind: type, do: Callable[[Any], int]) -> Callable[[Any], int]:
    def verb(job) -> int:
        return do(job)

    verb.__annotations__ = {"job": Annotated[kind, tyro.conf.arg(name="")], "return": int}
    verb.__doc__ = kind.__doc__
    return verb
