import dataclasses
import sys
from pathlib import Path

import pytest

from jobs.curriculum import main
from jobs.estimate import known_runs, phases_of
from jobs.options import parse
from jobs.plan import generator_steps, plan_of
from resp_agent.corpus.resolve import resolve_corpus
from resp_agent.curriculum.folders import Folders
from resp_agent.settings import PlannerSettings, Settings, VocoderSettings, smoke, tiny
from resp_agent.training.checkpoints import write_whole
from tests.jobs.run_folders import run_folder


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """In a folder without runs, and without a cluster."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("jobs.room.cores", lambda: 2)
    monkeypatch.setattr("jobs.room.gpus", lambda: 0)


def contents(folder: Path) -> dict[Path, float]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def said(capsys, *flags: str, code: int = 0) -> str:
    assert main(["--dry-run", *flags]) == code
    return capsys.readouterr().out


def words(told: str) -> str:
    """A text without its line breaks."""
    return " ".join(told.split())


def phases(*flags: str) -> dict[str, float | None]:
    plan = plan_of(parse(list(flags)))
    return {phase.name: phase.seconds for phase in phases_of(plan, known_runs(plan))}


def test_a_new_run_is_told_and_nothing_is_written_or_started(tmp_path, capsys):
    before = contents(tmp_path)
    told = said(capsys, "--out", str(tmp_path / "runs" / "new"))
    assert contents(tmp_path) == before
    assert "ray" not in sys.modules or not sys.modules["ray"].is_initialized()
    for part in (
        "472 recordings (160 for validation, 400 for the test), 8 labels, 5 styles",
        "would be simulated",
        "300 steps  needed",
        "600 steps  needed",
        "8 rounds to do of 8, of 40 optimizer steps each (320 in all)",
        "320 clips of a budget of 320, by round: 8 x 40",
        "64 in all",
        "reserved in all: 1.5 CPU, 0 GPU; this machine has 2 CPU",
        "clips: at most 29 MiB",
        "no run of this size is known here: time unknown",
        "two CPU cores",
        "nothing is missing",
    ):
        assert part in told, part


def test_the_counts_told_are_those_of_the_corpus_that_is_made_then(tmp_path, capsys):
    told = said(capsys, "--preset", "smoke", "--out", "run")
    corpus = resolve_corpus(smoke(), Folders.of("run").corpus(smoke()))
    assert corpus.describe() in told
    again = said(capsys, "--preset", "smoke", "--out", "run")
    assert f"{corpus.describe()}; it is there" in again
    assert str(corpus.path) in again


def test_clips_are_spent_as_the_environment_spends_them(capsys):
    told = said(capsys, "--budget", "10", "--curriculum.rounds", "4", "--curriculum.requests-per-round", "8")
    assert "10 clips of a budget of 10, by round: 2 x 3, 2 x 2" in told
    assert "3 requests a round at most, 10 in all" in told
    # A budget of fewer clips than rounds ends the run with its last clip.
    assert "3 rounds to do of 8" in said(capsys, "--budget", "3")


def test_without_synthesis_there_are_the_same_rounds_and_no_generator(capsys):
    told = said(capsys, "--policy", "none")
    assert "8 rounds to do of 8" in told
    assert "no clips are synthesized" in told
    assert "the policy synthesizes nothing" in told
    assert "flow" not in told
    assert "reserved in all: 0.5 CPU" in told


def test_first_trainings_that_are_there_or_begun_are_not_needed_again(tmp_path, capsys):
    settings = smoke()
    folders = Folders.of("run", "kept")
    corpus = resolve_corpus(settings, folders.corpus(settings))
    write_whole(folders.generator(settings, corpus) / "weights.planner.unfinished", lambda folder: None, {"step": 6})
    write_whole(folders.generator(settings, corpus) / "weights.flow.unfinished", lambda folder: None, {"step": 3})
    flags = ("--preset", "smoke", "--out", "run", "--first", "kept")
    left = {one.part: one.left for one in plan_of(parse(list(flags))).trainings}
    assert left == {"diagnoser": 6, "planner": 0, "flow": 3}
    write_whole(folders.diagnoser(settings, corpus), lambda folder: None, {})
    write_whole(folders.generator(settings, corpus) / "weights", lambda folder: None, {})
    told = said(capsys, *flags)
    assert told.count("steps  there") == 3
    assert "needed" not in told
    # Other settings, other models.
    assert "needed" in said(capsys, *flags, "--diagnoser.width", "64")


def test_what_a_generator_is_trained_by_depends_on_its_kind():
    def steps(**changes) -> dict[str, int]:
        return generator_steps(Settings(generator=dataclasses.replace(tiny().generator, **changes)))

    assert steps() == {"flow": 600}
    assert steps(content="planned", planner=PlannerSettings()) == {"planner": 400, "flow": 600}
    assert list(steps(vocoder=VocoderSettings(kind="vocos"))) == ["flow", "vocoder"]
    assert list(steps(vocoder=VocoderSettings(kind="vocos", trained="x"))) == ["flow"]
    assert steps(kind="oracle") == {}


def test_raw_sources_would_be_built_and_missing_ones_are_refused(tmp_path, capsys):
    (tmp_path / "ICBHI").mkdir()
    told = said(capsys, "--corpus", f"icbhi={tmp_path / 'ICBHI'}")
    assert "they would be built into" in " ".join(told.split())
    assert main(["--dry-run", "--corpus", f"icbhi={tmp_path / 'gone'}"]) == 2
    assert main(["--dry-run", "--corpus", str(tmp_path / "gone")]) == 2
    assert "there is no corpus at" in capsys.readouterr().err


def test_reservations_that_do_not_fit_are_missing(capsys):
    told = said(capsys, "--generators", "4", "--diagnoser-gpus", "1", code=1)
    assert "for want of CPU, 3 of the generator workers would be at work until this machine has more" in words(told)
    assert "missing: 1 GPU are reserved and this machine has 0" in told
    assert "4 generator workers" in told
    told = said(capsys, "--diagnoser-cpus", "1.8", code=1)
    assert "missing: 2.3 CPU are reserved and this machine has 2" in words(told)
    told = said(capsys, "--generators", "100", "--generator-cpus", "0.1")
    assert (
        "8 generator workers: 0.1 CPU and 0 GPU each; a round has 8 requests, so 92 more would have no work"
        in words(told)
    )
    local = said(capsys, "--generators", "4", "--diagnoser-gpus", "1", "--lab", "local")
    assert "all in this process, on 1 thread" in local


def test_a_cluster_is_asked_for_what_it_has(capsys, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    monkeypatch.setattr("jobs.room.reach", lambda address: (f"RAY_ADDRESS={address}: reached", None))
    monkeypatch.setattr("jobs.room.resources", lambda address: {"CPU": (3.0, 64.0), "GPU": (0.0, 4.0)})
    told = said(capsys, "--generators", "16", "--diagnoser-gpus", "1", "--curriculum.requests-per-round", "16")
    assert "RAY_ADDRESS=head:6379: reached" in told
    assert "reserved in all: 8.5 CPU, 1 GPU; the cluster has 64 CPU (3 in use), 4 GPU" in told
    monkeypatch.setattr("jobs.room.resources", lambda address: None)
    assert "cannot be asked through this address" in said(capsys)
    monkeypatch.setattr("jobs.room.reach", lambda address: ("not reached", "the Ray cluster at head:6379 (refused)"))
    assert "missing: the Ray cluster at head:6379 (refused)" in said(capsys, code=1)


def test_time_is_scaled_from_runs_of_the_same_size(tmp_path, capsys):
    known = run_folder(tmp_path / "runs" / "known")
    flags = ("--out", str(tmp_path / "runs" / "new"))
    # As measured: 30 s and 20 s more, 0.01 s a clip, 3 s a round; the rest of 120 s is the start.
    same = phases(*flags)
    assert same == {
        "start and corpus": pytest.approx(120 - 30 - 20 - 2 - 8 - 32),
        "first training, diagnoser": pytest.approx(30),
        "first training, generator": pytest.approx(20),
        "synthesis": pytest.approx(3.2),
        "learning": pytest.approx(24),
        "test": 2.0,
        "report": 8.0,
    }
    more = phases(*flags, "--budget", "640", "--curriculum.rounds", "4", "--seed", "9", "--policy", "random",
                  "--diagnoser.training.steps", "600", "--generator.flow.training.steps", "1800")  # fmt: skip
    assert more["first training, diagnoser"] == pytest.approx(60)
    # Beside the diagnoser's 60 s, of 3 x 50 s.
    assert more["first training, generator"] == pytest.approx(90)
    assert more["synthesis"] == pytest.approx(6.4)
    assert more["learning"] == pytest.approx(12)
    told = said(capsys, *flags)
    assert str(known) in told
    assert "time unknown" not in told
    assert "1 run of this size" in told


def test_a_run_of_another_size_says_nothing(tmp_path, capsys):
    run_folder(tmp_path / "runs" / "known")
    told = said(capsys, "--out", str(tmp_path / "runs" / "new"), "--diagnoser.width", "128")
    assert "no run of this size is known here: time unknown" in told
    assert "no run of this size" in said(capsys, "--out", str(tmp_path / "runs" / "new"), "--preset", "smoke")


def test_what_a_run_did_not_measure_stays_unknown(tmp_path, capsys):
    """A resumed run, or one that found its models, does not know how long their training takes; `none`, no clip."""
    run_folder(tmp_path / "runs" / "resumed", parts=2)
    run_folder(tmp_path / "runs" / "idle", "none")
    shared = run_folder(tmp_path / "runs" / "shared") / "settings.yaml"
    shared.write_text(shared.read_text().replace("first: null", "first: /elsewhere"))
    (tmp_path / "runs" / "idle" / "tensorboard" / "events.out.tfevents.1795742999.here").touch()
    found = phases("--out", str(tmp_path / "runs" / "new"))
    unknown = {"start and corpus", "first training, diagnoser", "first training, generator"}
    assert {name for name, seconds in found.items() if seconds is None} == unknown
    assert found["learning"] == pytest.approx(24)
    told = said(capsys, "--out", str(tmp_path / "runs" / "new"))
    assert "in all at least" in told
    assert "no run tells how long start and corpus, first training, diagnoser" in told


def test_measured_with_other_workers_is_said(tmp_path, capsys):
    run_folder(tmp_path / "runs" / "known")
    told = said(capsys, "--out", str(tmp_path / "runs" / "new"), "--generators", "1")
    assert "measured with 2 generator workers and 1 rank; this run has 1 and 1" in told


def test_a_resumed_run_says_what_is_left_and_measures_by_itself(tmp_path, capsys):
    run = run_folder(tmp_path / "runs" / "begun", rounds=3)
    before = contents(tmp_path)
    told = said(capsys, "--resume", str(run))
    assert contents(tmp_path) == before
    assert "would go on (after round 3)" in told
    assert "5 rounds to do of 8" in told
    assert "200 clips of a budget of 320, by round: 5 x 40" in told
    assert phases("--resume", str(run))["learning"] == pytest.approx(15)
    ended = run_folder(tmp_path / "ended", rounds=8)
    assert "0 rounds to do of 8" in said(capsys, "--resume", str(ended))
    whole = run_folder(tmp_path / "whole")
    assert "is complete: nothing is left to do" in said(capsys, "--resume", str(whole))


def test_what_the_run_would_refuse_is_refused(tmp_path, capsys):
    run = run_folder(tmp_path / "runs" / "taken")
    assert main(["--dry-run", "--out", str(run)]) == 2
    assert "holds a run already" in capsys.readouterr().err
    assert main(["--dry-run", "--resume", str(tmp_path)]) == 2
    assert main(["--dry-run", "--vetoes", str(tmp_path)]) == 2
    assert "there is no veto list" in capsys.readouterr().err
    (run_folder(tmp_path / "runs" / "torn", rounds=2) / "checkpoints" / "round-002").rmdir()
    assert main(["--dry-run", "--resume", str(tmp_path / "runs" / "torn")]) == 2
    assert "its checkpoint checkpoints/round-002 is gone" in capsys.readouterr().err


def test_another_corpus_than_it_was_begun_on_is_refused(tmp_path, capsys):
    run = run_folder(tmp_path / "run", settings=smoke(), rounds=1)
    resolve_corpus(smoke(), Folders.of(run).corpus(smoke()))
    assert main(["--dry-run", "--resume", str(run)]) == 2
    assert "begun on corpus embedded-of-0" in capsys.readouterr().err


def test_pretrained_weights_are_named_and_missing_ones_found_out(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("RESP_AGENT_WEIGHTS", str(tmp_path))
    told = said(capsys, "--preset", "paper", code=1)
    assert "missing: the weights BEATs_iter3_plus_AS2M.pt" in told
    assert "allenai/longformer-base-4096: not here: taken from the hub" in told


def test_too_little_room_on_the_disk_is_missing(capsys, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 10 * 2**20}))
    assert "missing: disk space in" in said(capsys, code=1)
