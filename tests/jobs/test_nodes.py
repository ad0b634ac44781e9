"""Nodes that come and go while a run is on them, and blows at random: it ends as if nothing had been."""

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from jobs.benchmarks.corpus import make_recordings
from resp_agent.curriculum.beacon import read_beacons
from resp_agent.randomness import stream
from tests.jobs.runs import Run
from tests.nodes import Nodes, kill, standing_still, wait_for

pytestmark = [pytest.mark.ray, pytest.mark.slow]

CPUS = ("--generator-cpus", "0.5", "--diagnoser-cpus", "0.5")
SMOKE = ("--preset", "smoke", "--curriculum.rounds", "6", "--curriculum.requests-per-round", "4", "--budget", "48")
SMOKE = (*SMOKE, "--diagnoser.training.steps", "24", "--diagnoser.training.checkpoint-every", "8")
SMOKE = (*SMOKE, "--curriculum.steps-per-round", "12")
MANY = ("--preset", "smoke", "--curriculum.rounds", "25", "--curriculum.requests-per-round", "8", "--budget", "200")
BLOWS = 10


@pytest.fixture(scope="module")
def nodes():
    nodes = Nodes(2)
    yield nodes
    nodes.close()


@pytest.fixture(autouse=True)
def on_them(nodes, monkeypatch):
    nodes.grow(2)
    monkeypatch.setenv("RAY_ADDRESS", nodes.address)
    yield
    Run.end_all()


def job(*words: str) -> subprocess.Popen:
    """`python -m jobs.<words>` on the cluster."""
    return subprocess.Popen(
        [sys.executable, "-m", f"jobs.{words[0]}", *words[1:]],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=dict(os.environ),
    )  # fmt: skip


def ended(process: subprocess.Popen) -> str:
    """What it said, once it has ended well."""
    said, _ = process.communicate(timeout=400)
    assert process.returncode == 0, said
    return said


def here(*words: str) -> None:
    """The same in one process, undisturbed."""
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    subprocess.run([sys.executable, "-m", f"jobs.{words[0]}", *words[1:]], check=True, env=environment, timeout=400,
                   stdout=subprocess.DEVNULL)  # fmt: skip


def beacon(run: Path, role: str, phase: str) -> int | None:
    """The process of a worker that is in a phase now."""
    told = read_beacons(run / "progress").get(role, {"phase": ""})
    return told["pid"] if told["phase"] == phase and psutil.pid_exists(told["pid"]) else None


def lines(path: Path) -> int:
    """How many a file has."""
    return path.read_bytes().count(b"\n")


def clips(folder: Path) -> dict[str, list[str]]:
    """Digests of the audio under each clip id, wherever it lies."""
    found: dict[str, list[str]] = {}
    for path in sorted((folder / "synthetic").glob("*.parquet")):
        for row in pq.read_table(path, columns=["id", "audio"]).to_pylist():
            found.setdefault(row["id"], []).append(hashlib.sha256(row["audio"]["bytes"]).hexdigest())
    return found


def journal(folder: Path) -> list[dict]:
    """The rounds, without times."""
    rounds = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    for one in rounds:
        del one["seconds"]
        for shard in one["state"].get("lab", one["state"]).get("shards", []):
            shard.pop("cost_s", None)
    return rounds


def test_a_curriculum_on_nodes_that_come_and_go(nodes, tmp_path):
    undisturbed = Run(tmp_path / "local", *SMOKE, "--lab", "local").summary()
    out = tmp_path / "run"
    run = Run(out, *SMOKE, *CPUS, "--generators", "4")
    wait_for(lambda: beacon(out, "diagnoser-0", "first training"), "the first training")
    nodes.grow(4)
    for role, phase in (("diagnoser-0", "learning"), ("generator-0", "synthesizing")):
        wait_for(lambda role=role, phase=phase: beacon(out, role, phase), f"{role} {phase}")
        nodes.remove_that_of(read_beacons(out / "progress")[role]["pid"])
    assert run.summary() == undisturbed
    assert journal(out) == journal(tmp_path / "local")
    assert clips(out) == clips(tmp_path / "local")
    assert all(len(digests) == 1 for digests in clips(out).values())
    assert len(clips(out)) == 48


def test_a_node_that_stands_still(nodes, tmp_path):
    """Its workers, too, as of a machine without power to go on: waited for, and given up when that takes long."""
    undisturbed = Run(tmp_path / "local", *SMOKE, "--lab", "local").summary()
    out = tmp_path / "run"
    run = Run(out, *SMOKE, *CPUS, "--generators", "2")
    nodes.grow(3)
    wait_for(lambda: beacon(out, "generator-0", "synthesizing"), "synthesis")
    with standing_still(read_beacons(out / "progress")["generator-0"]["pid"]):
        time.sleep(3)
    wait_for(lambda: beacon(out, "diagnoser-0", "learning"), "learning")
    pid = read_beacons(out / "progress")["diagnoser-0"]["pid"]
    with standing_still(nodes.raylet_of(pid), pid):
        wait_for(lambda: read_beacons(out / "progress")["diagnoser-0"]["pid"] != pid, "another diagnoser")
        time.sleep(2)
    assert run.summary() == undisturbed
    assert journal(out) == journal(tmp_path / "local")


def test_ten_blows_at_random_over_two_hundred_requests(nodes, tmp_path):
    undisturbed = Run(tmp_path / "local", *MANY, "--lab", "local").summary()
    out, draws, struck = tmp_path / "run", stream("tests", "blows"), []
    run = Run(out, *MANY, *CPUS, "--generators", "3")
    wait_for(lambda: (out / "journal.jsonl").exists(), "the first round")
    while len(struck) < BLOWS:
        # Spread over the run.
        wait_for(lambda: lines(out / "journal.jsonl") > 2 * len(struck), "a round")
        assert run.process.is_alive()
        told = read_beacons(out / "progress")
        workers = [role for role in told if role != "generator-training" and psutil.pid_exists(told[role]["pid"])]
        role = workers[int(draws.integers(len(workers)))]
        kill(told[role]["pid"])
        struck.append(role)
    assert run.summary() == undisturbed
    assert len(struck) == BLOWS
    assert clips(out) == clips(tmp_path / "local")
    assert len(clips(out)) == 200


def test_synthesis_on_nodes_that_go(nodes, tmp_path):
    nodes.grow(4)
    rows = [f"{label},{style},2,{seed}" for seed in range(15) for label in ("asthma", "pneumonia")
            for style in ("smartphone", "stethoscope bell")]  # fmt: skip
    (tmp_path / "plan.csv").write_text("\n".join(["label,style,count,seed", *rows]) + "\n")
    words = (
        "synthesize",
        "--preset",
        "smoke",
        "--plan",
        str(tmp_path / "plan.csv"),
        "--first",
        str(tmp_path / "first"),
    )
    here(*words, "--out", str(tmp_path / "local"), "--where", "local")
    out = tmp_path / "clips"
    process = job(*words, "--out", str(out), "--workers", "4", "--cpus", "0.5")
    for most in (4, 24):
        wait_for(lambda most=most: len(list((out / "synthetic").glob("*.parquet"))) >= most, "clips")
        nodes.remove_busiest()
    ended(process)
    assert clips(out) == clips(tmp_path / "local")
    assert all(len(digests) == 1 for digests in clips(out).values())
    assert (out / "index.csv").read_bytes() == (tmp_path / "local" / "index.csv").read_bytes()


def test_a_corpus_built_on_nodes_that_go(nodes, tmp_path):
    nodes.grow(4)
    raw = make_recordings(tmp_path / "raw", 2_500, 1.0, 8_000)
    words = ("corpus", "build", "--sources", f"folder={raw}")
    here(*words, "--out", str(tmp_path / "local"), "--where", "local")
    out = tmp_path / "corpus"
    process = job(*words, "--out", str(out), "--where", "ray", "--workers", "4", "--cpus", "0.5")
    for most in (2, 8):
        wait_for(lambda most=most: len(list(tmp_path.glob(".corpus.build/staged-*/*.parquet"))) >= most, "parts")
        nodes.remove_busiest()
    ended(process)
    whole = {path.relative_to(out): path.read_bytes() for path in out.rglob("*.parquet")}
    assert whole == {path: (tmp_path / "local" / path).read_bytes() for path in whole}
    assert len(whole) == len(list((tmp_path / "local").rglob("*.parquet")))


def test_a_search_on_nodes_that_go(nodes, tmp_path):
    nodes.grow(4)
    words = ("tune", "--preset", "smoke", "--seeds", "1", "--policies", "random", "--trials", "4",
             "--first", str(tmp_path / "first"))  # fmt: skip
    out = tmp_path / "search"
    process = job(*words, "--out", str(out), "--at-once", "3", "--cpus", "0.5")
    wait_for(lambda: list((out / "trials").glob("*.json")), "a trial")
    for _ in range(2):
        nodes.remove_busiest()
    ended(process)
    here(*words, "--out", str(tmp_path / "undisturbed"), "--at-once", "1")
    one, other = (pq.read_table(folder / "trials.parquet").to_pylist() for folder in (out, tmp_path / "undisturbed"))
    assert [row["trial"] for row in one] == list(range(4))
    assert {row["curriculum"]: row["valid_macro_f1_by_round"] for row in one} == {
        row["curriculum"]: row["valid_macro_f1_by_round"] for row in other
    }
