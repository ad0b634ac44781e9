import os
from pathlib import Path

from jobs.options import open_run, parse
from resp_agent.settings import smoke, tiny


def test_the_preset_gives_what_no_flag_names_and_the_last_flag_counts():
    assert parse([]).settings == tiny()
    assert parse(["--preset", "tiny", "--preset", "smoke"]).settings == smoke()
    job = parse(["--preset=smoke", "--budget", "7", "--generator", "oracle", "--curriculum.rounds", "2", "--seed", "5"])
    assert (job.settings.curriculum.budget, job.settings.curriculum.rounds, job.settings.seed) == (7, 2, 5)
    assert job.settings.generator.kind == "oracle"
    assert job.settings.diagnoser == smoke().diagnoser
    assert job.folder.name.endswith("-weakness-5")
    assert job.folder.parent == Path("runs")


def test_the_default_folder_of_a_job_does_not_move_with_the_clock(monkeypatch):
    job = parse(["--policy", "random"])
    monkeypatch.setattr("time.strftime", lambda form: "later")
    assert job.folder == job.folder
    assert "later" not in str(job.folder)


def test_a_resumed_run_has_the_settings_and_models_that_it_was_begun_with(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    begun = parse(["--preset", "smoke", "--policy", "random", "--seed", "3", "--out", "run", "--first", "kept"])
    open_run(begun)
    again = parse(["--resume", "run", "--generators", "5"])
    assert (again.settings, again.policy) == (begun.settings, "random")
    assert again.first == os.path.join(tmp_path, "kept")
    assert again.place.generators == 5
    # Saying what is so is no change.
    assert parse(["--resume", "run", "--seed", "3", "--policy", "random"]).settings == begun.settings
    assert open_run(again).path == Path("run")
