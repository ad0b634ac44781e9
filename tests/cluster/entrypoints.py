"""Command lines of jobs, read by the parsers of the jobs themselves."""

import shlex
from collections.abc import Callable, Sequence
from typing import Any

from jobs import options, ranked, synthesis_options, tune
from jobs.corpus import BuildJob, StatsJob
from jobs.train_diagnoser import DiagnoserTraining
from jobs.train_generator import GeneratorTraining
from jobs.verbs import run_verb

TRAININGS = {"diagnoser": DiagnoserTraining, "generator": GeneratorTraining}


def _corpus(words: list[str]) -> Any:
    seen: list[Any] = []
    verbs = {"build": (BuildJob, seen.append), "stats": (StatsJob, seen.append)}
    run_verb("resp-agent corpus", verbs, words)
    return seen[0]


PARSERS: dict[str, Callable[[list[str]], Any]] = {
    "jobs.corpus": _corpus,
    "jobs.train": lambda words: ranked.parse(TRAININGS[words[0]], words[1:]),
    "jobs.synthesize": synthesis_options.parse,
    "jobs.curriculum": options.parse,
    "jobs.tune": tune.parse,
}


def parse(words: Sequence[str]) -> Any:
    """The job that `python -m jobs.<name> ...` would do.

    Raises:
        SystemExit, UserError: the job would refuse this command line.
    """
    python, minus_m, module, *flags = words
    assert (python, minus_m) == ("python", "-m")
    return PARSERS[module](list(flags))


def branches(entrypoint: str) -> tuple[str | None, list[list[str]]]:
    """(the file that decides, the commands to choose from) of an entrypoint; (None, [command]) of a plain one."""
    words = shlex.split(entrypoint)
    if words[0] != "bash":
        return None, [words]
    bash, minus_c, script = words
    assert (bash, minus_c) == ("bash", "-c")
    condition, then, otherwise, end = (part.strip() for part in script.split(";"))
    assert end == "fi"
    return condition.removeprefix("if test -f "), [
        then.removeprefix("then exec ").split(),
        otherwise.removeprefix("else exec ").split(),
    ]
