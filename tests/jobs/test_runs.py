import dataclasses
import json

import numpy as np
import pytest
from scipy import stats

from jobs.run_groups import differing, grouped
from jobs.runs import main
from resp_agent.curriculum.beacon import Beacon
from resp_agent.curriculum.history import history_of, runs_in
from resp_agent.settings import Settings, tiny
from tests.jobs.run_folders import BEGAN_S, run_folder


def with_generator(kind: str) -> Settings:
    return dataclasses.replace(tiny(), generator=dataclasses.replace(tiny().generator, kind=kind))


def listed(folder, tmp_path, capsys) -> tuple[dict[str, dict], str]:
    """(Name of a run -> its row as plain data, what was printed)."""
    assert main(["list", str(folder), "--json", str(tmp_path / "rows.json")]) == 0
    rows = json.loads((tmp_path / "rows.json").read_text())
    return {row["run"].rpartition("/")[2]: row for row in rows}, capsys.readouterr().out


def test_a_complete_run_is_a_line_with_its_figures(tmp_path, capsys):
    run_folder(tmp_path / "runs" / "one", "weakness", 3, score=0.7)
    rows, said = listed(tmp_path / "runs", tmp_path, capsys)
    assert rows["one"] == {
        "run": str(tmp_path / "runs" / "one"),
        "state": "complete",
        "why": "",
        "begun": "2026-11-27T01:21:47+00:00",
        "policy": "weakness",
        "generator": "trained",
        "seed": 3,
        "corpus": "embedded",
        "corpus_fingerprint": "embedded-of-3",
        "rounds": 8,
        "rounds_planned": 8,
        "clips": 320,
        "budget": 320,
        "valid_macro_f1": [pytest.approx(0.3), pytest.approx(0.7)],
        "test_macro_f1_before": pytest.approx(0.34),
        "test_macro_f1_after": 0.7,
        "test_macro_f1_ci95": [pytest.approx(0.65), pytest.approx(0.74)],
        "minutes": 2.0,
    }
    for part in ("8/8", "320/320", ".300 → .700", ".340 → .700", ".650–.740", str(tmp_path / "runs" / "one")):
        assert part in said


def test_the_newest_comes_first_and_a_run_itself_can_be_given(tmp_path, capsys):
    for at, name in enumerate("bca"):
        run_folder(tmp_path / "runs" / name, began_s=BEGAN_S + 100 * at)
    rows, said = listed(tmp_path / "runs", tmp_path, capsys)
    assert list(rows) == ["a", "c", "b"]
    assert [line.rpartition("/")[2] for line in said.splitlines()[2:5]] == ["a", "c", "b"]
    assert list(listed(tmp_path / "runs" / "c", tmp_path, capsys)[0]) == ["c"]
    both = [tmp_path / "runs", tmp_path / "runs" / "c"]
    assert [run.folder.name for run in runs_in(both)] == ["a", "b", "c"]


def test_the_state_of_what_is_no_whole_run_is_a_row_with_the_reason(tmp_path, capsys):
    runs = tmp_path / "runs"
    run_folder(runs / "killed", rounds=3)
    run_folder(runs / "unjudged", rounds=8)
    (run_folder(runs / "unbegun", rounds=0) / "journal.jsonl").unlink()
    (run_folder(runs / "no-checkpoint", rounds=3) / "checkpoints" / "round-003").rmdir()
    (run_folder(runs / "journal") / "journal.jsonl").write_text("{]\n")
    (run_folder(runs / "summary") / "summary.json").write_text('{"clips": 3}')
    (run_folder(runs / "yaml") / "settings.yaml").write_text("policy: [")
    (run_folder(runs / "lacking") / "settings.yaml").write_text("policy: random\nsettings: {seed: 1}\n")
    unknown = run_folder(runs / "version", rounds=3) / "settings.yaml"
    unknown.write_text(unknown.read_text().replace("settings:\n", "settings:\n  colour: blue\n"))
    (run_folder(runs / "training") / "settings.yaml").write_text("settings: {seed: 1}\n")
    (runs / "foreign").mkdir()
    (runs / "foreign" / "notes.txt").write_text("mine")
    (runs / "file.txt").write_text("no folder")
    (runs / ".hidden").mkdir()
    rows, said = listed(runs, tmp_path, capsys)
    assert {name: (row["state"], row["why"][:30]) for name, row in rows.items()} == {
        "killed": ("resumable", "after round 3"),
        "unjudged": ("resumable", "only the test is left"),
        "unbegun": ("resumable", "before its first round"),
        "no-checkpoint": ("broken", "its checkpoint checkpoints/rou"),
        "journal": ("broken", "journal or summary is damaged "),
        "summary": ("broken", "its summary lacks test_macro_f"),
        "yaml": ("broken", "it cannot be read (ParserError"),
        "lacking": ("broken", "it cannot be read (KeyError: '"),
        "version": ("broken", "its settings are none of this "),
        "training": ("no run", "settings.yaml is not that of a"),
        "foreign": ("no run", "no settings.yaml"),
    }
    assert rows["killed"]["rounds"] == 3
    assert rows["killed"]["clips"] == 120
    assert rows["killed"]["test_macro_f1_after"] is None
    assert f"{runs / 'foreign'}: no run: no settings.yaml" in said


def test_a_torn_last_line_never_happened(tmp_path):
    journal = run_folder(tmp_path / "run", rounds=3) / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    (tmp_path / "run" / "checkpoints" / "round-002").mkdir()
    assert history_of(tmp_path / "run").rounds == 2


def test_a_run_whose_workers_spoke_lately_is_running(tmp_path):
    folder = run_folder(tmp_path / "run", rounds=3)
    beacon = Beacon(folder / "progress", "diagnoser-0")
    beacon.at("learning", step=7)
    spoke_s = json.loads((folder / "progress" / "diagnoser-0.json").read_text())["time_s"]
    found = history_of(folder, spoke_s + 30)
    assert (found.state, found.why) == ("running", "learning, 30 s ago")
    assert history_of(folder, spoke_s + 1000).state == "resumable"


def test_a_run_without_synthesis_spends_no_clips_but_stands_where_it_would(tmp_path, capsys):
    run_folder(tmp_path / "runs" / "none", "none")
    row = listed(tmp_path / "runs", tmp_path, capsys)[0]["none"]
    assert (row["clips"], row["budget"], row["generator"]) == (0, 0, None)
    assert history_of(tmp_path / "runs" / "none").spent == [40 * number for number in range(9)]


def test_a_folder_that_is_not_there_is_refused(tmp_path, capsys):
    assert main(["list", str(tmp_path / "gone")]) == 2
    assert f"there is no folder {tmp_path / 'gone'}" in capsys.readouterr().err
    assert main(["list", str(tmp_path)]) == 0
    assert "no run in" in capsys.readouterr().out


SCORES = {"weakness": [0.70, 0.66, 0.71], "random": [0.66, 0.65, 0.68]}


@pytest.fixture
def seeds(tmp_path):
    for policy, scores in SCORES.items():
        for seed, score in enumerate(scores):
            run_folder(tmp_path / "runs" / f"{policy}-{seed}", policy, seed, score=score)
    return tmp_path / "runs"


def comparison(folders, out, *flags: str) -> dict:
    assert main(["compare", *map(str, folders), "--out", str(out), *flags]) == 0
    assert (out / "comparison.png").read_bytes()[:4] == b"\x89PNG"
    return json.loads((out / "comparison.json").read_text())


def test_runs_that_differ_in_the_seed_alone_are_one_row(seeds, tmp_path, capsys):
    found = comparison([seeds], tmp_path / "out")
    rows = {row["name"]: row for row in found["groups"]}
    assert list(rows) == ["random", "weakness"]
    for policy, scores in SCORES.items():
        row, gains = rows[policy], np.array(scores) - (0.31 + 0.01 * np.arange(3))
        assert row["seeds"] == [0, 1, 2]
        assert row["after"] == pytest.approx(np.mean(scores))
        assert row["sd"] == pytest.approx(np.std(scores, ddof=1))
        assert row["gain"] == pytest.approx(gains.mean())
        expected = stats.ttest_1samp(gains, 0).confidence_interval(0.95)
        assert row["gain_interval"] == pytest.approx(list(expected))
        assert row["patients"] is None
        assert row["seconds"]["learn"] == pytest.approx(24.0)
        assert (row["clips"], row["rounds"]) == (320, 8)
    (difference,) = found["differences"]
    gaps = np.array(SCORES["random"]) - SCORES["weakness"]
    assert (difference["name"], difference["over"], difference["seeds"]) == ("random", "weakness", [0, 1, 2])
    assert difference["mean"] == pytest.approx(gaps.mean())
    assert difference["interval"] == pytest.approx(list(stats.ttest_1samp(gaps, 0).confidence_interval(0.95)))
    assert found["settings"] == {"policy": ["random", "weakness"]}
    said = capsys.readouterr().out
    assert ".690 ± .026" in said
    assert "random over weakness" in said
    assert "each has a test split of its own" in said


def test_only_settings_that_differ_are_told_and_call_the_rows(tmp_path, capsys):
    one = run_folder(tmp_path / "one", "random", 0)
    other = run_folder(tmp_path / "other", "random", 0, settings=with_generator("oracle"))
    found = comparison([one, other], tmp_path / "out")
    assert found["settings"] == {"generator.kind": ["trained", "oracle"]}
    assert [row["name"] for row in found["groups"]] == ["random, generator trained", "random, generator oracle"]
    assert found["groups"][0]["patients"] == pytest.approx([0.65, 0.74])
    assert found["groups"][0]["gain_interval"] is None
    assert found["differences"] == []
    assert "audio" not in capsys.readouterr().out


def test_where_much_differs_runs_are_called_by_their_folders(tmp_path):
    other = dataclasses.replace(
        tiny(),
        threads=2,
        curriculum=dataclasses.replace(tiny().curriculum, budget=8, steps_per_round=4),
    )
    runs = [run_folder(tmp_path / "one"), run_folder(tmp_path / "other", settings=other)]
    groups = grouped([history_of(run) for run in runs])
    assert differing(groups) == ["threads", "curriculum.budget", "curriculum.steps_per_round"]
    assert [group.name for group in groups] == ["one", "other"]


def test_what_is_not_judged_is_compared_as_far_as_it_came(tmp_path, capsys):
    run_folder(tmp_path / "runs" / "whole")
    run_folder(tmp_path / "runs" / "part", "random", rounds=4)
    (tmp_path / "runs" / "foreign").mkdir()
    found = comparison([tmp_path / "runs"], tmp_path / "out")
    part = next(row for row in found["groups"] if row["name"] == "random")
    assert (part["after"], part["gain"], part["clips"], part["seconds"]) == (None, None, 160, {})
    curve = next(curve for curve in found["curves"] if curve["group"] == "random")
    assert curve["clips"] == [0, 40, 80, 120, 160]
    # Sentences are wrapped, and where depends on how long the folder's name is.
    said = " ".join(capsys.readouterr().out.split())
    assert "part is not complete (resumable: after round 4)" in said
    assert "left out:" in said
    assert "0 of 1" in said


def test_other_test_splits_are_refused_unless_asked_for(tmp_path, capsys):
    """Of a corpus that its seed draws, runs with no seed in common; of one that lies there, another fingerprint."""
    there = dataclasses.replace(tiny(), corpus=str(tmp_path))
    pairs = [
        (run_folder(tmp_path / "a", "random", 0), run_folder(tmp_path / "b", "weakness", 1)),
        (
            run_folder(tmp_path / "c", "random", 0, settings=there, corpus="aa"),
            run_folder(tmp_path / "d", "random", 0, settings=there, corpus="bb"),
        ),
        (run_folder(tmp_path / "e", "random", 5), run_folder(tmp_path / "f", "random", 5, corpus="changed")),
    ]
    for pair in pairs:
        words = ["compare", *map(str, pair), "--out", str(tmp_path / "out")]
        assert main(words) == 2
        said = capsys.readouterr().err
        assert "different corpora" in said
        assert "--different-corpora" in said
        assert not (tmp_path / "out").exists()
    found = comparison(pairs[0], tmp_path / "out", "--different-corpora")
    assert any("different test splits" in note for note in found["notes"])


def test_one_corpus_that_lies_there_is_compared_across_seeds(tmp_path):
    runs = [
        run_folder(tmp_path / f"{policy}-{seed}", policy, seed, corpus="aa", settings=dataclasses.replace(
            tiny(), corpus=str(tmp_path / place)
        ))
        for policy, seed, place in (("random", 0, "here"), ("weakness", 1, "there"), ("weakness", 2, "here"))
    ]  # fmt: skip
    found = comparison(runs, tmp_path / "out")
    assert [row["seeds"] for row in found["groups"]] == [[0], [1, 2]]
    assert not any("test split of its own" in note for note in found["notes"])


def test_one_run_cannot_be_compared(tmp_path, capsys):
    run_folder(tmp_path / "runs" / "one")
    (tmp_path / "runs" / "foreign").mkdir()
    assert main(["compare", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "1 run cannot be compared" in said
    assert "foreign, no run: no settings.yaml" in said


def test_a_veto_list_and_a_repeated_seed_are_said(tmp_path, capsys):
    one, two = run_folder(tmp_path / "one", score=0.6), run_folder(tmp_path / "two", score=0.8)
    other = run_folder(tmp_path / "other", "random")
    (one / "vetoes.csv").write_text("clip_id,reason,when\nabc,hum,\n")
    found = comparison([one, two, other], tmp_path / "out")
    assert found["groups"][0]["after"] == pytest.approx(0.7)
    assert found["groups"][0]["sd"] is None
    assert any("more than once" in note for note in found["notes"])
    assert any("veto list of 1 clip" in note for note in found["notes"])
