"""A folder of released checkpoints, verified against the outputs that lie beside them."""

from pathlib import Path

from jobs.checks import CHECKS
from resp_agent.errors import UserError


def verify_folder(folder: Path, only: tuple[str, ...] = ()) -> int:
    """Prints a line for every quantity of the checkpoints in a folder; returns how many miss their tolerance.

    Args:
        folder: laid out like the release.
        only: kinds to verify; none: all that the folder holds.

    Raises:
        UserError: a kind that is asked for cannot be verified, or a file is not there or broken.
    """
    kinds = _chosen(folder, only)
    missed = 0
    for kind in kinds:
        for quantity in CHECKS[kind].run(folder):
            missed += not quantity.ok
            print(
                f"{kind:<10} {quantity.name:<24} maximum difference {quantity.difference:.2e}  tolerance "
                f"{quantity.tolerance:.0e}  {'ok' if quantity.ok else 'MISSED'}",
                flush=True,
            )
    if missed:
        print(f"{missed} of the quantities missed their tolerance")
    return missed


def _chosen(folder: Path, only: tuple[str, ...]) -> list[str]:
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: give one with released checkpoints and their expected outputs")
    for kind in only:
        if kind not in CHECKS:
            raise UserError(f"{kind!r} is no kind of checkpoint: --only takes {', '.join(CHECKS)}")
    # The encoder alone is there for others' sake.
    needed = {file for check in CHECKS.values() for file in check.needs}
    own = {kind: tuple(set(check.files) - needed) for kind, check in CHECKS.items()}
    chosen = [kind for kind in CHECKS if (kind in only if only else _held(folder, own[kind]))]
    if not chosen:
        raise UserError(f"{folder} holds nothing that can be verified: none of {', '.join(CHECKS)}")
    for kind in chosen:
        for file in CHECKS[kind].files + CHECKS[kind].needs:
            if not (folder / file).exists():
                raise UserError(f"{folder / file} is missing, without which {kind} cannot be verified")
    return chosen


def _held(folder: Path, files: tuple[str, ...]) -> bool:
    return any((folder / file).exists() for file in files)
