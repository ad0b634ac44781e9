"""Rejects clips after listening: they are never learned from again."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow.parquet as pq
import tyro

from jobs.exits import run_job
from jobs.submitted import refuse_relative
from resp_agent.curriculum.vetoes import FILE, add_vetoes, read_vetoes
from resp_agent.errors import UserError
from resp_agent.generator.synthesizer import SHARDS
from resp_agent.settings.checks import refuse
from resp_agent.storage import children, fetch, is_mirror, local, shown


@dataclass(frozen=True)
class VetoJob:
    """Puts clips on the veto list of a run or of a set of clips. What is on it is not learned from in later rounds, nor
    when the run is resumed. Without --clips it shows the list."""

    folder: tyro.conf.Positional[str]
    """A run directory, or the --out of `synthesize`."""
    clips: tuple[str, ...] = ()
    """Ids of the clips to reject."""
    reason: str = ""
    """Why, for those who come after."""

    def __post_init__(self):
        refuse(bool(self.clips) and not self.reason, "a clip is rejected for a reason: give --reason")


def veto(job: VetoJob) -> None:
    """Adds to the list, or shows it.

    Raises:
        UserError: there are no clips in the folder, or not those.
    """
    refuse_relative("DIR", job.folder)
    folder = local(job.folder)
    if not (children(folder) if is_mirror(folder) else folder.is_dir()):
        raise UserError(f"there is no folder {shown(folder)}: give a run directory, or the --out of `synthesize`")
    if job.clips:
        shards = [path for path in children(folder / SHARDS) if path.suffix == ".parquet"]
        if not shards:
            raise UserError(f"{shown(folder)} holds no clips: give a run directory, or the --out of `synthesize`")
        known = {one for shard in shards for one in pq.read_table(fetch(shard), columns=["id"])["id"].to_pylist()}
        added = add_vetoes(folder, job.clips, job.reason, known)
        print(f"{len(added)} added, {len(set(job.clips)) - len(added)} were on the list already")
    rows = read_vetoes(folder)
    for row in rows.values():
        print(f"{row['clip_id']}  {row.get('when', '')}  {row.get('reason', '')}")
    print(f"{len(rows)} rejected: {shown((folder / FILE).resolve())}")


def main(argv: Sequence[str] | None = None) -> int:
    """`resp-agent veto` and `python -m jobs.veto`; returns the exit code."""

    def run(words: list[str] | None) -> int:
        veto(tyro.cli(VetoJob, args=words, prog="resp-agent veto"))
        return 0

    return run_job(run, sys.argv[1:] if argv is None else argv)


if __name__ == "__main__":
    sys.exit(main())
