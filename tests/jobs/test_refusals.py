"""What cannot be used gets one sentence that names it and a way out, and earlier results stay as they are."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.curriculum import main
from resp_agent.corpus.write import write_corpus
from resp_agent.curriculum.journal import RunDirectory
from resp_agent.settings import smoke
from resp_agent.simulation import embedded_corpus

SMOKE = ("--preset", "smoke", "--lab", "local")
REFUSED, FAILED = 2, 1


@pytest.fixture
def said(capsys):
    """Runs the job and gives its one sentence."""

    def said(code, *argv):
        assert main(list(map(str, argv))) == code
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1, lines
        assert lines[0].startswith("resp-agent: ")
        return lines[0]

    return said


@pytest.fixture(scope="module")
def recordings():
    return embedded_corpus(smoke().simulation, 0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """First-trained models of preset `smoke`, for runs that fail later."""
    return tmp_path_factory.mktemp("trained") / "first"


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder, with a digest."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (["--policy", "guess"], ["'guess'", "weakness"]),
        (["--policy", "thinker:temperature=0"], ["temperature 0.0", "above 0"]),
        (["--policy", "llm"], ["needs a model"]),
        (["--budget", "0"], ["budget of 0", "at least 1", "--policy none"]),
        (["--preset", "huge"], ["'huge'", "smoke"]),
        (["--generators", "0"], ["at least one generator worker"]),
        (["--threads", "0"], ["0 threads", "at least 1"]),
        (["--simulation.train-counts", *"88888880"], ["no training recording", "at least 1"]),
        (["--simulation.train-counts", "8"], ["8 labels", "not 1"]),
        (["--diagnoser.training.learning-rate", "0"], ["learning rate of 0", "above 0"]),
        (["--curriculum.learning-rate", "-1"], ["learning rate of -1", "above 0"]),
        (["--lab", "ray", "--diagnoser-workers", "3"], ["batch of 8", "3 workers", "--diagnoser-workers"]),
        (["--generator", "oracle", "--corpus", "icbhi=recordings"], ["oracle", "icbhi=recordings", "trained"]),
        (["--corpus", "missing"], ["missing", "check the path"]),
        (["--corpus", "icbhi=missing"], ["missing"]),
        (["--corpus", "sprsund=."], ["'sprsund'", "sprsound"]),
        (["--corpus", "icbhi=.,icbhi=.."], ["'icbhi'", "twice"]),
        (["--corpus", "icbhi="], ["icbhi=", "<source>=<path>"]),
        (["--resume", "missing"], ["missing", "no run to resume", "leave out --resume"]),
    ],
    ids=lambda value: "_".join(value)[:40].replace("/", ""),
)
def test_a_value_that_cannot_be_used(flags, parts, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sentence = said(REFUSED, *SMOKE, *flags)
    assert all(part in sentence for part in parts), sentence
    assert not list(tmp_path.rglob("journal.jsonl"))


def test_a_flag_that_is_none_or_takes_no_such_value(capsys):
    for flags in (["--polic", "random"], ["--generator", "guess"], ["--seed", "x"], ["--resume"]):
        assert main([*SMOKE, *flags]) == REFUSED
        assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--out", "--first"])
def test_a_folder_below_a_file(flag, said, tmp_path):
    (tmp_path / "file").write_text("kept")
    other = [] if flag == "--out" else ["--out", tmp_path / "out"]
    sentence = said(REFUSED, *SMOKE, flag, tmp_path / "file" / "run", *other)
    assert str(tmp_path / "file") in sentence
    assert "another" in sentence
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.skipif(
    not Path("/proc/version").exists(), reason="needs a file system that nobody can write: Linux's /proc"
)
def test_a_folder_that_nobody_can_write(said):
    assert "/proc/run cannot be written" in said(REFUSED, *SMOKE, "--out", "/proc/run")


def test_a_default_folder_that_cannot_be_written(said, tmp_path, monkeypatch):
    (tmp_path / "runs").write_text("a file")
    monkeypatch.chdir(tmp_path)
    assert "runs/" in said(REFUSED, *SMOKE)


def test_a_corpus_without_recordings(said, tmp_path):
    for name in ("nothing", "icbhi"):
        (tmp_path / name).mkdir()
    write_corpus([], tmp_path / "empty")
    for spec in (tmp_path / "nothing", tmp_path / "empty", f"icbhi={tmp_path / 'icbhi'}"):
        sentence = said(REFUSED, *SMOKE, "--corpus", spec, "--out", tmp_path / "run")
        assert str(spec).rpartition("=")[2] in sentence
        assert "give" in sentence or "check" in sentence, sentence


def test_a_label_that_only_validation_or_test_holds(said, tmp_path, recordings):
    for split in ("valid", "test"):
        label = recordings[0].label
        kept = [one for one in recordings if one.label != label or one.split == split]
        write_corpus(kept, tmp_path / split)
        sentence = said(REFUSED, *SMOKE, "--corpus", tmp_path / split, "--out", tmp_path / "run")
        assert repr(label) in sentence
        assert split in sentence
        assert "leave the label out" in sentence


def test_a_corpus_that_no_model_can_use(said, tmp_path, recordings):
    """Found by the generator: no style has a second patient to take a reference from."""
    alone = [replace(one, patient_id=one.style) for one in recordings]
    write_corpus(alone, tmp_path / "alone")
    sentence = said(REFUSED, *SMOKE, "--corpus", tmp_path / "alone", "--out", tmp_path / "run")
    assert "second patient" in sentence


def test_relative_paths_in_a_submitted_job(said, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    assert "--out" in said(REFUSED, *SMOKE)
    assert "--out run is relative" in said(REFUSED, *SMOKE, "--out", "run")
    assert "--first kept is relative" in said(REFUSED, *SMOKE, "--out", tmp_path, "--first", "kept")
    assert "--corpus here is relative" in said(REFUSED, *SMOKE, "--out", tmp_path, "--corpus", "here")
    specification = f"icbhi={tmp_path},sprsound=there"
    assert "--corpus there is relative" in said(REFUSED, *SMOKE, "--out", tmp_path, "--corpus", specification)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("model", ["diagnoser", "generator.planner", "generator.flow"])
def test_a_loss_that_is_no_number_in_first_training(model, said, tmp_path, trained):
    flags = [f"--{model}.training.learning-rate", "1e30", "--out", tmp_path / "run", "--first", trained]
    sentence = said(FAILED, *SMOKE, *flags)
    assert "the loss became nan" in sentence
    assert "lower the rate" in sentence
    assert RunDirectory(tmp_path / "run").rounds() == []


def test_a_run_that_failed_in_a_round_keeps_what_it_had_and_is_not_mixed_with_another(
    said, tmp_path, trained, recordings
):
    run, corpus = tmp_path / "run", tmp_path / "corpus"
    write_corpus(recordings, corpus)
    flags = ["--corpus", corpus, "--first", trained, "--curriculum.learning-rate", "1e30"]
    assert "the loss became nan" in said(FAILED, *SMOKE, *flags, "--out", run)
    assert [entry["round"] for entry in RunDirectory(run).rounds()] == [0]
    before = contents(run) | contents(trained)

    sentence = said(REFUSED, *SMOKE, *flags, "--out", run)
    assert f"{run} holds a run already" in sentence
    assert "--resume" in sentence
    sentence = said(REFUSED, "--resume", run, "--budget", "11", "--seed", "3")
    assert "budget was 12 and is 11" in sentence
    assert "seed was 0 and is 3" in sentence
    assert "policy was thinker and is random" in said(REFUSED, "--resume", run, "--policy", "random")

    changed = [replace(one, narrative=one.narrative + " Afebrile.") for one in recordings]
    shutil.rmtree(corpus)
    write_corpus(changed, corpus)
    sentence = said(REFUSED, "--resume", run, "--lab", "local")
    assert "was begun on corpus" in sentence
    assert "start a new run" in sentence
    shutil.rmtree(corpus)
    assert str(corpus) in said(REFUSED, "--resume", run, "--lab", "local")
    assert contents(run) | contents(trained) == before

    # What it was begun with makes it fail again, and it still keeps what it had.
    write_corpus(recordings, corpus)
    assert "the loss became nan" in said(FAILED, "--resume", run, "--lab", "local")
    assert [entry["round"] for entry in RunDirectory(run).rounds()] == [0]
    # It remembered where its models were.
    assert not (run / "first").exists()


def test_a_checkpoint_that_is_not_what_was_written(said, tmp_path, trained):
    run = tmp_path / "run"
    flags = ["--first", trained, "--curriculum.learning-rate", "1e30"]
    said(FAILED, *SMOKE, *flags, "--out", run)
    (written,) = trained.glob("diagnoser-*/averaged.safetensors")
    whole = written.read_bytes()
    written.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        assert "is not what was written" in said(FAILED, "--resume", run, "--lab", "local")
    finally:
        written.write_bytes(whole)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "ftp://127.0.0.1:1"])
def test_a_cluster_that_does_not_answer(address, said, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", address)
    began = time.monotonic()
    sentence = said(FAILED, "--preset", "smoke", "--out", tmp_path / "run")
    assert address in sentence
    assert "unset it for a local Ray" in sentence
    assert time.monotonic() - began < 20


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "code", "parts"),
    [
        (
            ["--generator-cpus", "64"],
            FAILED,
            ["a generator worker found no place", "64 CPU are needed", "--generator-cpus"],
        ),
        (["--diagnoser-cpus", "64"], FAILED, ["diagnoser workers", "64 CPU are needed", "--diagnoser-cpus"]),
        (["--generator.flow.training.learning-rate", "1e30"], FAILED, ["the loss became nan", "lower the rate"]),
        (["--diagnoser.training.learning-rate", "1e30"], FAILED, ["the loss became nan", "lower the rate"]),
        (["--corpus", "ALONE"], REFUSED, ["second patient"]),
    ],
    ids=["generators' place", "diagnosers' place", "generator's loss", "diagnoser's loss", "generator's corpus"],
)
def test_what_a_worker_refuses_is_a_sentence_too(flags, code, parts, tmp_path, recordings):
    write_corpus([replace(one, patient_id=one.style) for one in recordings], tmp_path / "alone")
    flags = [str(tmp_path / "alone") if flag == "ALONE" else flag for flag in flags]
    command = ["--preset", "smoke", "--out", str(tmp_path / "run"), "--placement-timeout-s", "3", *flags]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.jobs.quick", *command],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
        check=False,
    )
    assert done.returncode == code, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, lines
    assert all(part in lines[0] for part in parts), lines
