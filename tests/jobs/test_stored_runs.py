"""A curriculum whose run directory is on an object store."""

import json
import os
import shutil
from itertools import chain
from pathlib import Path

import pytest

from actors.serving.served import find_served
from jobs.runs import main as runs
from jobs.veto import main as veto
from resp_agent.curriculum.judge import Judge
from resp_agent.curriculum.local import LocalStudio
from resp_agent.diagnoser.learner import Learner
from resp_agent.diagnoser.stored import load_diagnoser
from resp_agent.storage import fetch, local, remote
from resp_agent.training.checkpoints import read_progress
from tests.jobs.quick import main
from tests.jobs.runs import Place, Run, results

FLAGS = (
    *("--preset", "smoke", "--lab", "local"),
    *("--diagnoser.training.steps", "12", "--diagnoser.training.checkpoint-every", "8"),
    *("--generator.flow.training.steps", "16", "--generator.flow.training.checkpoint-every", "4"),
    *("--curriculum.refresh-every", "2", "--curriculum.refresh-steps", "8"),
)

WRITTEN = ("synthetic/*", "checkpoints/*", "first/diagnoser-*", "first/generator-*")
"""What workers leave for each other."""


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    Run.end_all()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict:
    """What a run in a folder of this machine comes to."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    assert main([*FLAGS, "--out", str(folder)]) == 0
    return results(folder)


@pytest.mark.slow
def test_a_run_killed_and_gone_on_with_on_other_machines_ends_the_same(undisturbed, s3, another_machine, capsys):
    for place in (Place("generator-0", "synthesizing"), Place("diagnoser-0", "checkpointing", 2)):
        Run(local(f"{s3}/one"), *FLAGS).kill_driver(place)
        another_machine()
    assert runs(["list", s3]) == 0
    assert f"{s3}/one" in capsys.readouterr().out
    last = Run(local(f"{s3}/one"), *FLAGS)
    summary = last.summary()
    assert "going on after round 1" in last.said()
    assert summary == undisturbed
    # On the store lies what the journal names, and nothing of what was cut off.
    another_machine()
    held = remote.objects(f"{s3}/one")
    rounds = [name for name in held if name.startswith("journal/")]
    entries = [json.loads(path.read_text()) for path in _fetched(s3, rounds)]
    assert [entry["round"] for entry in entries] == [0, 1, 2, 3]
    assert {name for name in held if name.startswith("synthetic/")} == {
        shard for entry in entries for shard in entry["shards"]
    }
    assert not [name for name in held if "partial" in name or "unfinished" in name]
    assert runs(["list", f"{s3}/one", "--json", f"{s3}/list.json"]) == 0
    served = find_served(f"{s3}/one", None, None, None, False)
    assert served.trained.endswith("after round 3 of the run one.")
    assert load_diagnoser(Path(served.diagnoser))[2] > 0
    assert read_progress(Path(served.studio.refreshed["folder"]))
    clip = summary["clip_ids"][0]
    assert veto([f"{s3}/one", "--clips", clip, "--reason", "somebody speaks"]) == 0
    another_machine()
    capsys.readouterr()
    assert veto([f"{s3}/one"]) == 0
    assert clip in capsys.readouterr().out


def _fetched(s3, names):
    return [fetch(local(f"{s3}/one") / name) for name in names]


@pytest.mark.slow
def test_workers_find_on_the_store_what_others_wrote(undisturbed, s3, monkeypatch):
    forgotten = set()

    def on_a_node_of_its_own(kind, method):
        do = getattr(kind, method)

        def alone(self, *arguments):
            for path in chain.from_iterable(map(local(f"{s3}/run").glob, WRITTEN)):
                forgotten.add(path.relative_to(local(f"{s3}/run")).parts[0])
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            return do(self, *arguments)

        monkeypatch.setattr(kind, method, alone)

    for kind, method in ((Learner, "learn"), (Learner, "assess"), (LocalStudio, "synthesize"), (Judge, "score")):
        on_a_node_of_its_own(kind, method)
    assert main([*FLAGS, "--out", f"{s3}/run"]) == 0
    assert forgotten == {"synthetic", "checkpoints", "first"}
    assert results(local(f"{s3}/run")) == undisturbed


@pytest.mark.slow
def test_a_run_whose_store_goes_away_says_so_and_goes_on_when_it_is_back(undisturbed, s3, monkeypatch, capsys):
    learn = Learner.learn

    def alone(self, lesson):
        if lesson.round == 2:
            monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        return learn(self, lesson)

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "learn", alone)
        address = os.environ["AWS_ENDPOINT_URL"]
        assert main([*FLAGS, "--out", f"{s3}/run"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("resp-agent: the storage s3://clinic at http://127.0.0.1:1 fails (")
    assert "check AWS_ENDPOINT_URL" in said
    assert "--resume" in said
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    assert main(["--resume", f"{s3}/run", "--lab", "local"]) == 0
    assert "going on after round 1" in capsys.readouterr().out
    assert results(local(f"{s3}/run")) == undisturbed


@pytest.mark.slow
def test_a_run_whose_newest_checkpoint_is_damaged_goes_on_from_the_one_before(undisturbed, s3, another_machine, capsys):
    assert main([*FLAGS, "--out", f"{s3}/run"]) == 0
    remote.delete(f"{s3}/run/summary.json")
    weights = fetch(local(f"{s3}/run/checkpoints/round-003/averaged.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1000])
    remote.upload(weights, f"{s3}/run/checkpoints/round-003/averaged.safetensors")
    another_machine()
    assert main(["--resume", f"{s3}/run", "--lab", "local"]) == 0
    said = capsys.readouterr().out
    assert "round 3 is done again" in said
    assert results(local(f"{s3}/run")) == undisturbed


def test_first_trainings_on_a_store_serve_runs_elsewhere(s3, another_machine, tmp_path, capsys):
    flags = ("--preset", "smoke", "--lab", "local", "--curriculum.rounds", "1", "--budget", "4")
    flags += ("--first", f"{s3}/first", "--policy", "none")
    assert main([*flags, "--out", str(tmp_path / "local")]) == 0
    trained = {name for name in remote.objects(f"{s3}/first") if name.startswith("diagnoser-")}
    another_machine()
    assert main([*flags, "--out", f"{s3}/runs/a"]) == 0
    assert trained == {name for name in remote.objects(f"{s3}/first") if name.startswith("diagnoser-")}
    summaries = [
        json.loads((folder / "summary.json").read_text()) for folder in (tmp_path / "local", local(f"{s3}/runs/a"))
    ]
    assert summaries[0]["valid_macro_f1"] == summaries[1]["valid_macro_f1"]
    another_machine()
    capsys.readouterr()
    assert main(["--resume", f"{s3}/runs/a", "--lab", "local"]) == 0
    assert f"this run is complete: {s3}/runs/a/report.html" in capsys.readouterr().out
    assert main([*flags, "--out", f"{s3}/runs/a"]) == 2
    assert f"go on with it by --resume {s3}/runs/a" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--out", "s3://nobody/run"], 2, "there is no bucket s3://nobody"),
        (["--resume", "s3://clinic/nothing"], 2, "s3://clinic/nothing holds no run to resume"),
        (["--corpus", "s3://clinic/nothing"], 2, "there is no corpus at s3://clinic/nothing"),
        (["--out", "http://clinic/run"], 2, "give a path, file://, s3:// or gs://"),
    ],
)
def test_a_place_that_cannot_be_is_refused_before_any_work(s3, arguments, code, sentence, capsys, tmp_path):
    out = [] if "--out" in arguments or "--resume" in arguments else ["--out", str(tmp_path / "run")]
    assert main(["--preset", "smoke", "--lab", "local", *arguments, *out]) == code
    said = capsys.readouterr().err
    assert sentence in said
    assert len(said.splitlines()) == 1
