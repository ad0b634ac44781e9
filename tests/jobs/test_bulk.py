"""Ray Data as a runner: every part once, workers kept from part to part, failures and full clusters told."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from jobs import bulk
from jobs.bulk import on_ray, runner
from resp_agent.corpus.listing import PART_ROWS
from resp_agent.errors import RunFailed, UserError

pytestmark = pytest.mark.ray


@dataclass(frozen=True)
class Noting:
    """Work that writes down which process did which part, and how often that process had begun."""

    folder: Path
    fails: bool = False
    heavy: bool = False

    def start(self):
        return Writer(self)


class Writer:
    def __init__(self, work: Noting):
        self._work, self._done = work, 0

    def __call__(self, part: Path) -> int:
        if self._work.fails:
            raise UserError("this cannot be done")
        self._done += 1
        (self._work.folder / f"{part.name}-{os.getpid()}-{self._done}").touch()
        return int(part.name)

    def close(self) -> None:
        (self._work.folder / f"closed-{os.getpid()}").touch()


def test_parts_are_done_once_by_workers_that_are_kept(small_ray, tmp_path):
    parts = [Path(str(number)) for number in range(12)]
    assert sorted(on_ray(2, 0.5)(Noting(tmp_path), parts)) == list(range(12))
    notes = [path.name.split("-") for path in tmp_path.iterdir()]
    assert sorted(int(part) for part, *_ in notes) == list(range(12))
    for process, count in Counter(process for _, process, _ in notes).items():
        assert {number for _, of, number in notes if of == process} == {str(n + 1) for n in range(count)}
    assert list(on_ray(2, 0.5)(Noting(tmp_path), [])) == []


def test_what_is_wrong_is_told_in_its_own_words(small_ray, tmp_path, capsys):
    from jobs.exits import run_job

    def job(argv):
        list(on_ray(1, 0.5)(Noting(tmp_path, fails=True), [Path("1")]))

    assert run_job(job, []) == 2
    assert "this cannot be done" in capsys.readouterr().err.splitlines()[-1]


def test_a_worker_gives_up_what_it_kept_when_other_work_comes(small_ray, tmp_path):
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        list(on_ray(1, 0.5)(Noting(tmp_path / str(number)), [Path("1"), Path("2")]))
    did = {path.name.split("-")[1] for path in (tmp_path / "0").iterdir() if not path.name.startswith("closed")}
    went_on = {path.name.split("-")[1] for path in (tmp_path / "1").iterdir()}
    closed = {path.name.split("-")[1] for path in (tmp_path / "0").glob("closed-*")}
    assert closed == did & went_on


@pytest.mark.parametrize(("cpus", "gpus", "heavy"), [(64.0, 0.0, False), (0.5, 1.0, True)])
def test_a_worker_that_finds_no_place_is_named(small_ray, tmp_path, monkeypatch, cpus, gpus, heavy):
    monkeypatch.setattr(bulk, "PLACEMENT_TIMEOUT_S", 1.0)
    with pytest.raises(RunFailed, match=r"found no place within 1 s: .*; lower --cpus or --gpus"):
        list(on_ray(1, cpus, gpus)(Noting(tmp_path, heavy=heavy), [Path("1")]))


def test_gpus_are_for_models(small_ray, tmp_path):
    assert list(on_ray(1, 0.5, gpus=1.0)(Noting(tmp_path), [Path("3")])) == [3]


def test_few_recordings_stay_in_this_process_unless_told(tmp_path):
    few, many = [Path("1")] * (2_000 // PART_ROWS), [Path("1")] * (2_000 // PART_ROWS + 1)
    names = {
        (where, len(parts)): runner(where, 1, 0.5, 0.0, parts).__qualname__.split(".")[0]
        for where in ("auto", "ray", "local")
        for parts in (few, many)
    }
    assert {where for (where, _), name in names.items() if name == "on_ray"} == {"auto", "ray"}
    assert names["auto", len(few)] == names["local", len(many)] == "in_threads"
