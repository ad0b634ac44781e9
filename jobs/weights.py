"""Released weights: imported into our files once, and verified against their expected outputs."""

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import tyro

from jobs.exits import FAILED, run_job
from jobs.expected import verify_folder
from jobs.submitted import refuse_relative
from jobs.verbs import run_verb
from resp_agent.diagnoser.released_files import (
    PROJECTION,
    SETTINGS,
    TOKENIZER,
    WEIGHTS,
    import_released,
    read_plain,
    save_released,
)
from resp_agent.durable import write_atomic
from resp_agent.encoders.beats import Beats, load_beats, load_tokenizer, save_beats
from resp_agent.encoders.beats_files import ENCODER_FILES, TOKENIZER_FILES
from resp_agent.errors import UserError

TABLE = "imported.json"
"""What was read, beside what was made of it."""
IGNORED_BEATS = {
    "relative_attention_bias": "a copy of layer 0's",
    "quantize.": "bookkeeping of the codebook's training",
}
"""Part of a name in a released BEATs that is no part of the model -> why."""


@dataclass(frozen=True)
class ImportJob:
    """Turns released checkpoints into files of ours: safetensors and JSON. Nothing but tensors and plain data is read,
    and no tensor may be missing or left over unless the table says why."""

    out: str
    """Folder for what is made."""
    beats: str | None = None
    """BEATs encoder, such as BEATs_iter3_plus_AS2M.pt."""
    beats_tokenizer: str | None = None
    """BEATs unit tokenizer, such as Tokenizer_iter3_plus_AS2M.pt."""
    diagnoser: str | None = None
    """Diagnoser: diagnoser.pth."""
    config: str | None = None
    """The diagnoser's Longformer configuration; by default diagnoser_config.json or config.json beside it."""
    tokenizer: str | None = None
    """Folder of the diagnoser's text tokenizer; by default diagnoser_tokenizer or tokenizer beside it."""

    def __post_init__(self):
        if not any(getattr(self, name) for name in IMPORTERS):
            flags = ", ".join(f"--{name.replace('_', '-')}" for name in IMPORTERS)
            raise UserError(f"nothing is given to import: name a checkpoint with one of {flags}")


@dataclass(frozen=True)
class VerifyJob:
    """Runs every checkpoint of a folder in the layout of the release against the expected outputs beside it."""

    folder: tyro.conf.Positional[str]
    """Where checkpoints and `*_expected.safetensors` lie."""
    only: str = ""
    """Kinds of checkpoint to verify, such as `beats,diagnoser`; by default all that the folder holds."""


@dataclass(frozen=True)
class Read:
    """A row of the table of what was read."""

    file: str
    tensors: int
    parameters: int
    dtypes: str
    sha256: str
    made: str
    """What was made of it, relative to the folder."""
    ignored: dict[str, str]
    """Tensors that were left out -> why."""


Imported = tuple[list[Read], Callable[[Path], object]]
"""What was read, and what writes it into a folder."""


def import_weights(job: ImportJob) -> int:
    """Imports what the job names and prints the table. Nothing is written before all of it was read."""
    refuse_relative("--out", job.out)
    out = Path(job.out)
    read = [run(job) for name, run in IMPORTERS.items() if getattr(job, name)]
    try:
        for _, write in read:
            write(out)
        rows = [row for rows, _ in read for row in rows]
        write_atomic(out / TABLE, (json.dumps([asdict(row) for row in rows], indent=1) + "\n").encode())
    except OSError as problem:
        raise UserError(f"nothing can be written to --out {out} ({problem}): give a folder that takes files") from None
    print_table(rows)
    print(f"written to {out.resolve()}")
    return 0


def _import_beats(job: ImportJob) -> Imported:
    return _beats(Path(job.beats), load_beats, ENCODER_FILES[0])


def _import_beats_tokenizer(job: ImportJob) -> Imported:
    return _beats(Path(job.beats_tokenizer), load_tokenizer, TOKENIZER_FILES[0])


def _beats(file: Path, load: Callable[[Path], Beats], made: str) -> Imported:
    _refuse_absent(file)
    model = load(file)
    state = read_plain(file).get("model")
    if state is None:
        raise UserError(f"{file} was imported before: give the released checkpoint")
    left = state.keys() - model.state_dict().keys()
    reasons = {name: why for name in sorted(left) for part, why in IGNORED_BEATS.items() if part in name}
    return [describe(file, state, made, reasons)], lambda out: save_beats(model, out / made)


def _import_diagnoser(job: ImportJob) -> Imported:
    weights = Path(job.diagnoser)
    config = _beside(weights, job.config, ("diagnoser_config.json", "config.json"), "--config")
    tokenizer = _beside(weights, job.tokenizer, ("diagnoser_tokenizer", "tokenizer"), "--tokenizer")
    tokenizer = tokenizer / TOKENIZER if tokenizer.is_dir() else tokenizer
    model, ignored = import_released(weights, config, tokenizer)
    held = read_plain(weights)
    state = dict(held["model_state_dict"])
    state |= {f"{PROJECTION}.{name}": part for name, part in held.get(PROJECTION, {}).items()}
    rows = [
        describe(weights, state, f"diagnoser/{WEIGHTS}", ignored),
        describe(config, {}, f"diagnoser/{SETTINGS}", {}),
        describe(tokenizer, {}, f"diagnoser/{TOKENIZER}", {}),
    ]
    told = tokenizer.read_text(encoding="utf-8")
    return rows, lambda out: save_released(model, told, out / "diagnoser")


IMPORTERS: dict[str, Callable[[ImportJob], Imported]] = {
    "beats": _import_beats,
    "beats_tokenizer": _import_beats_tokenizer,
    "diagnoser": _import_diagnoser,
}
"""Field of the job -> what reads the checkpoint that it names."""


def _beside(weights: Path, given: str | None, names: tuple[str, ...], flag: str) -> Path:
    """A file or folder that goes with a checkpoint: what the flag gives, or what lies beside it under a usual name."""
    _refuse_absent(weights)
    if given:
        return Path(given)
    for name in names:
        if (weights.parent / name).exists():
            return weights.parent / name
    raise UserError(f"there is no {' or '.join(names)} beside {weights}: give {flag}")


def _refuse_absent(file: Path) -> None:
    if not file.is_file():
        raise UserError(f"{file} is not there, or no file: give the released checkpoint")


def describe(file: Path, state: Mapping[str, torch.Tensor], made: str, ignored: dict[str, str]) -> Read:
    """The row of a file that was read."""
    with file.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    dtypes = ", ".join(sorted({str(value.dtype).removeprefix("torch.") for value in state.values()}))
    count = sum(value.numel() for value in state.values())
    return Read(str(file), len(state), count, dtypes, digest, made, ignored)


def print_table(rows: Sequence[Read]) -> None:
    """Prints a line for every file, and one for every reason to leave something out."""
    lines = [("file", "tensors", "parameters", "dtype", "sha256", "made")]
    for row in rows:
        counts = (str(row.tensors), f"{row.parameters:,}") if row.tensors else ("-", "-")
        lines.append((Path(row.file).name, *counts, row.dtypes or "-", row.sha256[:16], row.made))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    for row in rows:
        for reason, count in Counter(row.ignored.values()).items():
            names = ", ".join(name for name, why in row.ignored.items() if why == reason)
            print(f"left out of {Path(row.file).name}, {reason} ({count}): {names}")


def verify(job: VerifyJob) -> int:
    """Prints a line for every quantity; 1 if one misses its tolerance, else 0."""
    only = tuple(kind.strip() for kind in job.only.split(",") if kind.strip())
    return FAILED if verify_folder(Path(job.folder), only) else 0


def main_import(argv: Sequence[str] | None = None) -> int:
    """`resp-agent import-weights`; returns the exit code."""
    return _run(ImportJob, import_weights, "resp-agent import-weights", argv)


def main_verify(argv: Sequence[str] | None = None) -> int:
    """`resp-agent verify`; returns the exit code."""
    return _run(VerifyJob, verify, "resp-agent verify", argv)


def _run(kind: type, do: Callable, prog: str, argv: Sequence[str] | None) -> int:
    return run_job(lambda words: do(tyro.cli(kind, args=words, prog=prog)), argv)


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m jobs.weights`: both verbs."""
    verbs = {"import": (ImportJob, import_weights), "verify": (VerifyJob, verify)}
    return run_job(lambda words: run_verb("python -m jobs.weights", verbs, words), argv)


if __name__ == "__main__":
    sys.exit(main())
