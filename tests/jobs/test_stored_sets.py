"""`train`, `synthesize`, `evaluate` and `diagnose` with their places on an object store."""

import csv
import json
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
import soundfile

from jobs.diagnose import main as diagnose
from jobs.evaluate import main as evaluate
from jobs.synthesize import main as synthesize
from jobs.train_diagnoser import main as train_diagnoser
from resp_agent.durable import write_atomic
from resp_agent.generator import bulk
from resp_agent.randomness import stream
from resp_agent.storage import fetch, local, publish, remote
from tests.jobs.conftest import TRAINING

PLAN = b"label,style,count\nasthma,smartphone,20\ncontrol group,contact microphone,3\n"
ASKED = ("--preset", "smoke", "--generator.content", "exemplar", "--where", "local")


def clips(out) -> dict[str, bytes]:
    """Id -> audio."""
    rows = [row for shard in sorted((out / "synthetic").glob("*")) for row in pq.read_table(shard).to_pylist()]
    return {row["id"]: row["audio"]["bytes"] for row in rows}


def test_a_set_is_completed_on_another_machine(s3, another_machine, tmp_path, monkeypatch, capsys):
    write_atomic(local(f"{s3}/plan.csv"), PLAN)
    command = [*ASKED, "--plan", f"{s3}/plan.csv", "--first", f"{s3}/first", "--export", "flac"]
    assert synthesize([*command, "--out", str(tmp_path / "plain")]) == 0
    made = bulk.write_clips
    with monkeypatch.context() as patch:

        def once(*arguments):
            patch.setattr(bulk, "write_clips", lambda *_: pytest.fail("one part is enough"))
            return made(*arguments)

        patch.setattr(bulk, "write_clips", once)
        with pytest.raises(pytest.fail.Exception):
            synthesize([*command, "--out", f"{s3}/set"])
    another_machine()
    capsys.readouterr()
    assert synthesize([*command, "--out", f"{s3}/set"]) == 0
    said = capsys.readouterr().out
    assert "23 clips in 2 parts, 20 are there already" in said
    assert f"index {s3}/set/index.csv" in said
    another_machine()
    out = fetch(local(f"{s3}/set"))
    assert clips(out) == clips(tmp_path / "plain")
    assert (out / "index.csv").read_bytes() == (tmp_path / "plain" / "index.csv").read_bytes()
    with (out / "index.csv").open(newline="") as file:
        assert all((out / row["file"]).is_file() and (out / row["shard"]).is_file() for row in csv.DictReader(file))
    another_machine()
    monkeypatch.setattr(bulk, "write_clips", lambda *_: pytest.fail("nothing is missing"))
    assert synthesize([*command, "--out", f"{s3}/set"]) == 0
    # What tells that nothing is missing, and the index, need no audio.
    assert not list((local(f"{s3}/set") / "synthetic").glob("*"))
    assert synthesize([*command, "--out", f"{s3}/set", "--draw", "1"]) == 2
    assert f"{s3}/set holds another set of clips" in capsys.readouterr().err


@pytest.mark.slow
def test_a_training_killed_and_gone_on_with_elsewhere_serves_from_the_store(
    s3, trained, another_machine, tmp_path, capsys
):
    out = f"{s3}/first"
    # Step 5 has a checkpoint.
    killed = [sys.executable, "-m", "tests.jobs.killed_training", "8", "diagnoser", *TRAINING, "--lab", "local"]
    assert subprocess.run([*killed, "--out", out], check=False, capture_output=True).returncode == -9
    held = remote.objects(out)
    assert any(".unfinished/progress.json" in name for name in held)
    another_machine()
    assert train_diagnoser(["--resume", out, "--lab", "local"]) == 0
    assert f"model {out}/model" in capsys.readouterr().out
    told = [json.loads((folder / "summary.json").read_text()) for folder in (local(out), trained)]
    assert told[0]["losses"] == told[1]["losses"]
    assert told[0]["test"] == told[1]["test"]
    assert not any("unfinished" in name or "partial" in name for name in remote.objects(out))
    another_machine()
    assert evaluate([out, "--out", f"{s3}/scores"]) == 0
    assert f"wrote {s3}/scores/scores.json" in capsys.readouterr().out
    scores = json.loads(fetch(local(f"{s3}/scores/scores.json")).read_text())
    assert scores["macro_f1"] == told[0]["test"]["macro_f1"]
    soundfile.write(tmp_path / "cough.flac", stream("tests", "cough").uniform(-0.5, 0.5, 2 * 16_000), 16_000)
    publish(tmp_path / "cough.flac", at=local(f"{s3}/cough.flac"))
    another_machine()
    assert diagnose([f"{s3}/cough.flac", "--model", out, "--json", f"{s3}/found.json"]) == 0
    found = json.loads(fetch(local(f"{s3}/found.json")).read_text())
    assert found["model"] == f"{out}/model"
    # Optimizer state stays where it is.
    assert not list(local(out).rglob("engine"))
