"""A checkpoint that was damaged on disk: a run goes back to the one before, says so, and ends the same."""

from pathlib import Path

import pytest

from tests.jobs.runs import Run

SMOKE = ("--preset", "smoke", "--lab", "local")


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    Run.end_all()


def truncate(folder: Path) -> None:
    """Cuts off the end of a checkpoint's weights, as a full disk or a power cut may."""
    weights = folder / "averaged.safetensors"
    with weights.open("r+b") as file:
        file.truncate(weights.stat().st_size // 2)


@pytest.mark.parametrize("damaged", [1, 2], ids=["the newest", "both"])
def test_a_run_goes_on_from_the_last_whole_checkpoint(damaged, tmp_path):
    run = Run(tmp_path, *SMOKE)
    undisturbed, journal = run.summary(), (tmp_path / "journal.jsonl").read_text()
    # As if it had been killed before its end.
    (tmp_path / "summary.json").unlink()
    kept = sorted((tmp_path / "checkpoints").glob("round-*"))
    assert [folder.name for folder in kept] == ["round-002", "round-003"]
    for folder in kept[-damaged:]:
        truncate(folder)
    again = Run(tmp_path, *SMOKE)
    assert again.summary() == undisturbed
    for number in range(3, 3 - damaged, -1):
        assert f"round-00{number}/averaged.safetensors is not what was written" in again.said()
        assert f"round {number} is done again" in again.said()
    rounds = (tmp_path / "journal.jsonl").read_text().splitlines()
    assert len(rounds) == len(journal.splitlines()) == 4
