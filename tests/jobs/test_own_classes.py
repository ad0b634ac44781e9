import json

import pytest

from jobs.cli import main

OWN = [
    "--policy", "tests.somebodys:Stubborn:label=2", "--generator", "tests.somebodys:Tones",
    "--diagnoser", "tests.somebodys:reader", "--diagnoser.text-model", "None",
]  # fmt: skip


@pytest.mark.slow
def test_a_run_with_policy_generator_and_diagnoser_of_ones_own_and_its_resumption(tmp_path):
    out = tmp_path / "run"
    flags = ["curriculum", "--preset", "smoke", "--lab", "local"]
    assert main([*flags, *OWN, "--out", str(out)]) == 0
    summary = json.loads((out / "summary.json").read_text())
    assert summary["policy"] == "tests.somebodys:Stubborn:label=2"
    assert summary["clips"] == 12
    asked = {request["label"] for round_ in summary["requests"] for request in round_}
    assert len(asked) == 1
    # Killed after its second round, it goes on to the same.
    lines = (out / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (out / "journal.jsonl").write_bytes(b"".join(lines[:-1]))
    (out / "summary.json").unlink()
    # The last round's start is kept as a checkpoint, so it can be done again.
    assert main(["curriculum", "--resume", str(out), "--lab", "local"]) == 0
    again = json.loads((out / "summary.json").read_text())
    assert again["test_macro_f1_after"] == summary["test_macro_f1_after"]
    assert again["clip_ids"] == summary["clip_ids"]


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--generator", "tests.somebodys:NoGenerator"], "is no generator: it has no fingerprint"),
        (["--generator", "tests.somebodys:Nothing"], "cannot be imported"),
        (["--generator", "noise"], "no generator 'noise': choose one of trained"),
        (["--diagnoser", "tests.somebodys:Nothing"], "cannot be imported"),
        (["--policy", "tests.somebodys:Stubborn:depth=2"], "no parameter 'depth': it takes label"),
    ],
)
def test_what_is_no_class_of_this_kind_is_refused_in_a_sentence(tmp_path, capsys, flags, sentence):
    simulation = ["--simulation.duration-s", "1", "--simulation.test-per-cell", "1"]
    given = ["curriculum", "--preset", "smoke", "--lab", "local", *simulation, *flags, "--out", str(tmp_path / "run")]
    assert main(given) == 2
    assert sentence in capsys.readouterr().err
