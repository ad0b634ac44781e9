"""Jobs with verbs of their own: each a settings class and what is done with it, or a module that is imported for it."""

import importlib
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import tyro

from resp_agent.errors import UserError

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


def dispatch(prog: str, verbs: dict[str, tuple[str, str]], argv: Sequence[str]) -> int:
    """Gives the rest of the command line to the verb's `main`; its module is imported only then.

    Args:
        verbs: verb -> (`module:function`, one line for the help).
    """
    verb, options = argv[0] if argv else "", list(argv[1:])
    if verb in ("", "-h", "--help", "help"):
        width = max(map(len, verbs))
        lines = [f"  {name:<{width}}  {line}" for name, (_, line) in verbs.items()]
        print("\n".join([f"usage: {prog} <verb> [options]", "", *lines, "", f"{prog} <verb> --help says more."]))
        return 0 if verb else 2
    if verb not in verbs:
        raise UserError(f"there is no {prog} {verb!r}: choose one of {', '.join(verbs)}, or --help")
    module, name = verbs[verb][0].split(":")
    return getattr(importlib.import_module(module), name)(options)


def _callable(kind: type, do: Callable[[Any], int]) -> Callable[[Any], int]:
    def verb(job) -> int:
        return do(job)

    verb.__annotations__ = {"job": Annotated[kind, tyro.conf.arg(name="")], "return": int}
    verb.__doc__ = kind.__doc__
    return verb
