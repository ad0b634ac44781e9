"""The command line of a run: settings, where it runs, and where its results go."""

import dataclasses
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro
import yaml

from jobs.policy_file import read_policy
from jobs.submitted import refuse_relative, submitted
from resp_agent.corpus.resolve import EMBEDDED, split_sources
from resp_agent.curriculum.journal import SETTINGS, RunDirectory
from resp_agent.curriculum.policies import check_choice, parse_choice
from resp_agent.curriculum.vetoes import adopt_vetoes, vetoes_of
from resp_agent.errors import UserError
from resp_agent.settings import Placement, Settings, from_plain, preset, to_plain
from resp_agent.storage import absolute, fetch, local, shown

Flat = tyro.conf.arg(name="")


@dataclass(frozen=True)
class CurriculumJob:
    """A curriculum run: a first training of generator and diagnoser, then rounds of synthesis and learning until the
    budget is spent, then the score on the untouched test split."""

    policy: str = "thinker"
    """What chooses requests, with parameters as in `thinker:temperature=0.2`; your own as module:Class; or a file that
    `tune` wrote, which brings settings too. `none` runs the same rounds and optimizer steps without synthesis."""
    out: str | None = None
    """Run directory; by default runs/<time>-<policy>-<seed>."""
    resume: str | None = None
    """A run directory to go on with, after the last round that its journal holds."""
    first: str | None = None
    """Where first-trained models and built corpora are kept and found again; by default in the run directory."""
    vetoes: tuple[str, ...] = ()
    """Folders of other runs and sets of clips whose veto lists hold here, too."""
    dry_run: bool = False
    """Say what would be done, what it needs and how long it may take; nothing is begun or written."""
    settings: Annotated[Settings, Flat] = field(default_factory=Settings)
    place: Annotated[Placement, Flat] = field(default_factory=Placement)

    def __post_init__(self):
        check_choice(self.policy)
        training, ranks = self.settings.diagnoser.training, self.place.diagnoser_workers
        if self.place.lab == "ray" and training.batch % (ranks * training.accumulation):
            raise UserError(
                f"the diagnoser's batch of {training.batch} does not divide over {ranks} workers x "
                f"{training.accumulation} micro-batches: change --diagnoser.training.batch or --diagnoser-workers"
            )

    @property
    def folder(self) -> Path:
        """The run directory."""
        if self.resume:
            return local(self.resume)
        stamp = time.strftime("%Y%m%d-%H%M%S")
        name = parse_choice(self.policy).name.replace(":", ".")
        return local(self.out or f"runs/{stamp}-{name}-{self.settings.seed}")


def parse(argv: list[str] | None) -> CurriculumJob:
    """A job from the command line: the preset gives what no flag names; a resumed run, what it was begun with.

    Raises:
        UserError: a value is none that a run can have, or a flag contradicts the run to be resumed.
    """
    argv = spelt_out(sys.argv[1:] if argv is None else argv)
    job = parse_job(CurriculumJob, "resp-agent curriculum", argv, _begun, identity, found_policy(argv))
    refuse_disposable(job, job.first)
    return job if job.resume else dataclasses.replace(job, out=shown(job.folder))


def parse_job(
    kind: type,
    prog: str,
    argv: list[str] | None,
    begun: Callable[[Path], Any],
    identity: Callable[[Any], dict],
    default: Any = None,
) -> Any:
    """A `kind` of job, which has `settings` and `resume`, from the command line: the preset gives what no flag names;
    a resumed one, what it was `begun` with, of which its `identity` may not change. `default` stands in for the preset.

    Raises:
        UserError: a value is none that a job can have, or a flag contradicts the job to be resumed.
    """
    argv = apart(sys.argv[1:] if argv is None else argv)
    resumed = value_of("--resume", argv)
    if resumed:
        default = begun(local(resumed))
    elif default is None:
        default = kind(settings=preset(value_of("--preset", argv) or "tiny"))
    job = tyro.cli(kind, args=argv, default=default, prog=prog, config=(tyro.conf.OmitSubcommandPrefixes,))
    if resumed:
        _refuse_changes(resumed, identity(default), identity(job))
    return job


def found_policy(argv: list[str]) -> CurriculumJob | None:
    """What a file that `--policy` names says of policy and settings, or None; `argv` then names the policy itself."""
    given = value_of("--policy", argv)
    if given is None or Path(given).suffix not in (".yaml", ".yml"):
        return None
    found = read_policy(local(given), value_of("--preset", argv))
    # The last flag counts.
    argv += ["--policy", found.policy]
    return CurriculumJob(policy=found.policy, settings=found.settings)


def open_run(job: CurriculumJob) -> RunDirectory:
    """The run directory of a job: a new one, or the one to go on with."""
    rejected = vetoes_of(map(local, job.vetoes))
    if job.resume:
        run = RunDirectory.resume(job.folder)
    else:
        run = RunDirectory.create(job.folder, identity(job) | {"first": job.first and absolute(job.first)})
    adopt_vetoes(run.path, rejected)
    return run


def identity(job: CurriculumJob) -> dict:
    """What may not change between the parts of a run."""
    return {"policy": job.policy, "settings": to_plain(job.settings)}


LISTS = ("--seeds", "--planners", "--policies")
"""Flags whose values may be given with commas, too."""


def spelt_out(argv: Sequence[str]) -> list[str]:
    """The command line with `--diagnoser NAME`, which elsewhere is a folder, as the setting that it is short for."""
    short, name = "--diagnoser", "--diagnoser.system"
    return [name if word == short else f"{name}{word[len(short):]}" if word.startswith(f"{short}=") else word
            for word in argv]  # fmt: skip


def apart(argv: Sequence[str]) -> list[str]:
    """The command line with the values of `LISTS`, as in `--seeds 1,2,3` or `--seeds=1,2,3`, as words of their own."""
    words: list[str] = []
    within = False
    for word in argv:
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            within = name in LISTS
            words += [name, *value.split(",")] if within and equals else [word]
        else:
            words += [part for part in word.split(",") if part] if within else [word]
    return words


def value_of(flag: str, argv: list[str]) -> str | None:
    """What a flag is given on a command line, the last time it comes; None if it does not."""
    found = None
    for index, word in enumerate(argv):
        if word == flag and index + 1 < len(argv):
            found = argv[index + 1]
        elif word.startswith(flag + "="):
            found = word.partition("=")[2]
    return found


def stored_identity(folder: Path) -> dict:
    """What the run or training in a folder was begun with.

    Raises:
        UserError: there is none.
    """
    if not fetch(folder / SETTINGS).is_file():
        raise UserError(
            f"{shown(folder)} holds no run to resume: give the folder that a run printed, or leave out --resume"
        )
    return yaml.safe_load((folder / SETTINGS).read_text())


def _begun(folder: Path) -> CurriculumJob:
    stored = stored_identity(folder)
    return CurriculumJob(
        policy=stored["policy"],
        resume=shown(folder),
        first=stored.get("first"),
        settings=from_plain(stored["settings"]),
    )


def _refuse_changes(folder: str, begun: dict, asked: dict) -> None:
    before, now = leaves(begun), leaves(asked)
    changed = [f"{name} was {before[name]} and is {now[name]}" for name in before if before[name] != now[name]]
    if changed:
        raise UserError(
            f"the run {folder} was begun with other settings ({'; '.join(changed)}): "
            "leave the flags out, or start a new run with --out"
        )


def leaves(data: dict, prefix: str = "") -> dict:
    """Nested settings as one level, `generator.flow.width` for example."""
    flat = {}
    for name, value in data.items():
        flat.update(leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value})
    return flat


def refuse_disposable(job: Any, first: str | None = None) -> None:
    """Raises UserError where a submitted job (with `out`, `resume`, `settings`) names places that go away with it."""
    out, corpus = job.resume or job.out, job.settings.corpus
    if submitted() and out is None:
        raise UserError("a submitted job needs --out with an absolute path: its working directory goes away")
    paths = [path for _, path in split_sources([corpus])] if "=" in corpus else [corpus] if corpus != EMBEDDED else []
    for flag, path in (("--out", out), ("--first", first), *(("--corpus", path) for path in paths)):
        if path is not None:
            refuse_relative(flag, path)
