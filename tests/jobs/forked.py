"""Runs of the curriculum job that are forked from a process which has imported what they need.

A smoke run takes less time than its imports, and the tests of kills make dozens of runs.
"""

import multiprocessing
import os
import sys
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from unittest import mock

FRESH = multiprocessing.get_context("spawn")
"""Makes processes that import all that they need themselves."""
FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["tests.jobs.quick", "resp_agent.curriculum.local", "actors.lab"])


def begun(context, arguments: list[str], said: Path, environment: dict[str, str]) -> BaseProcess:
    """A process that runs the job with these arguments; what it says is in the files `out` and `err` of a folder."""
    if context is FORKED:
        # Libraries read it while they are imported.
        with mock.patch.dict(os.environ, environment, clear=True):
            forkserver.ensure_running()
    process = context.Process(target=_run, args=(arguments, said, environment))
    process.start()
    return process


def _run(arguments: list[str], said: Path, environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for number, name in enumerate(("out", "err"), start=1):
        os.dup2(os.open(said / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    from tests.jobs.quick import main

    code = main(arguments)
    # Ray ends a local cluster when its driver's interpreter exits, which such a process leaves out.
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()
    sys.exit(code)
