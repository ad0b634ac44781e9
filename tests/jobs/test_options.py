import os
from pathlib import Path

import pytest

from jobs.options import open_run, parse
from jobs.policy_file import write_policy
from resp_agent.errors import UserError
from resp_agent.settings import smoke, tiny


def test_the_preset_gives_what_no_flag_names_and_the_last_flag_counts():
    assert parse([]).settings == tiny()
    assert parse(["--preset", "tiny", "--preset", "smoke"]).settings == smoke()
    job = parse(["--preset=smoke", "--budget", "7", "--generator", "oracle", "--curriculum.rounds", "2", "--seed", "5"])
    assert (job.settings.curriculum.budget, job.settings.curriculum.rounds, job.settings.seed) == (7, 2, 5)
    assert job.settings.generator.kind == "oracle"
    assert job.settings.diagnoser == smoke().diagnoser
    assert job.folder.name.endswith("-thinker-5")
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


def test_a_policy_file_brings_policy_and_settings_and_flags_go_before_it(tmp_path):
    file = tmp_path / "best_policy.yaml"
    found = {"preset": "smoke", "curriculum": {"learning_rate": 0.005, "rounds": 2}}
    write_policy(file, "thinker:temperature=0.3", found, score=0.5, seeds=[1, 2])
    job = parse(["--policy", str(file), "--curriculum.rounds", "3"])
    assert job.policy == "thinker:temperature=0.3"
    assert (job.settings.preset, job.settings.curriculum.rounds) == ("smoke", 3)
    assert job.settings.curriculum.learning_rate == 0.005
    assert job.settings.diagnoser == smoke().diagnoser
    assert job.folder.name.endswith("-thinker-0")
    # Another preset gives what the file does not name.
    other = parse([f"--policy={file}", "--preset", "tiny"])
    assert other.settings.diagnoser == tiny().diagnoser
    assert other.settings.curriculum.learning_rate == 0.005


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "names no policy"),
        ("[1", "cannot be read"),
        ("policy: greedy", "no policy 'greedy'"),
        ("policy: random\nsettings: 3", "no group of names and values"),
        ("policy: random\nsettings: {speed: 3}", "no setting 'speed'"),
        (None, "cannot be read"),
    ],
)
def test_a_policy_file_that_is_none_is_refused_in_a_sentence(tmp_path, text, sentence):
    file = tmp_path / "policy.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UserError, match=sentence):
        parse(["--policy", str(file)])
