"""`resp-agent benchmark <what> [options]`: one table of benchmarks, each imported when it is asked for."""

import dataclasses
import importlib
import sys
from collections.abc import Sequence
from typing import Any

import tyro

from jobs.exits import run_job
from jobs.options import apart, value_of
from resp_agent.errors import UserError
from resp_agent.settings import preset

PROGRAM = "resp-agent benchmark"
VERBS: dict[str, tuple[str, str]] = {
    "table6": ("jobs.benchmarks.tables:Table6Benchmark:table6", "one modality against weaving, beside the paper"),
    "table7": ("jobs.benchmarks.tables:Table7Benchmark:table7", "late fusion against weaving, beside the paper"),
    "ablation": ("jobs.benchmarks.tables:AblationBenchmark:ablation", "anchors, text and loss, beside the paper"),
    "table2": ("jobs.benchmarks.icbhi:Table2Benchmark:table2", "ICBHI, official split, 4 classes, beside the paper"),
    "table4": ("jobs.benchmarks.table4:Table4Benchmark:table4", "style and content swapped, beside the paper"),
    "grounding": ("jobs.benchmarks.grounding:GroundingBenchmark:grounding", "where in the audio a phrase is heard"),
    "attention": ("jobs.benchmarks.attention:AttentionBenchmark:attention", "time and memory by sequence length"),
    "downstream": ("jobs.benchmarks.downstream:DownstreamBenchmark:downstream", "what a diagnoser learns from clips"),
    "planners": ("jobs.benchmarks.planners:PlannersBenchmark:planners", "policies at one budget, beside the paper"),
    "reward": ("jobs.benchmarks.reward:RewardBenchmark:reward", "how far a reward can be trusted"),
    "speed diagnoser": ("jobs.benchmarks.speed:SpeedBenchmark:speed_diagnoser", "a step against the reference path"),
    "speed generator": (
        "jobs.benchmarks.generator_speed:GeneratorSpeedBenchmark:speed_generator",
        "audio a second against the plain path",
    ),
    "serve": ("jobs.benchmarks.serve:ServeBenchmark:serve", "the service under load, batched, single and overloaded"),
    "cluster": (
        "jobs.benchmarks.cluster:ClusterBenchmark:cluster",
        "the driver's messages; synthesis by two workers",
    ),
    "corpus": ("jobs.benchmarks.corpus:CorpusBenchmark:corpus", "decoding to Parquet against a plain loop"),
}
"""Verb -> (`module:class of its flags:function` that takes an instance and returns the exit code, a line of help)."""


def usage() -> str:
    """The help: every benchmark with a line."""
    width = max(map(len, VERBS))
    lines = [f"  {verb:<{width}}  {line}" for verb, (_, line) in VERBS.items()]
    last = f"{PROGRAM} <what> --help says what one takes."
    return "\n".join([f"usage: {PROGRAM} <what> [options]", "", *lines, "", last])


def parse(kind: type, verb: str, argv: list[str]) -> Any:
    """An instance of a class of flags; its `settings`, where it has any, are those of the preset that the flags name.

    Raises:
        UserError: a value is none that the class can have, or no preset has that name.
    """
    given = {}
    if any(entry.name == "settings" for entry in dataclasses.fields(kind)):
        given["default"] = kind(settings=preset(value_of("--preset", argv) or "tiny"))
    config = (tyro.conf.OmitSubcommandPrefixes,)
    return tyro.cli(kind, args=apart(argv), prog=f"{PROGRAM} {verb}", config=config, **given)


def _dispatch(argv: list[str] | None) -> int:
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if argv else 2
    verb = next((verb for verb in VERBS if argv[: len(verb.split())] == verb.split()), None)
    if verb is None:
        raise UserError(f"there is no benchmark {argv[0]!r}: choose one of {', '.join(VERBS)}, or --help")
    module, kind, function = VERBS[verb][0].split(":")
    imported = importlib.import_module(module)
    job = parse(getattr(imported, kind), verb, argv[len(verb.split()) :])
    return getattr(imported, function)(job)


def main(argv: Sequence[str] | None = None) -> int:
    """`resp-agent benchmark` and `python -m jobs.benchmark`; returns the exit code."""
    return run_job(_dispatch, argv)


if __name__ == "__main__":
    sys.exit(main())
