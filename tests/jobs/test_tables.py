"""Tables beside the paper's: their rows, what is concluded from results, and grids that go on where they were."""

import dataclasses
import json
import math
import re

import numpy as np
import pytest

from jobs.benchmark import main
from jobs.benchmarks import grid, rows
from jobs.benchmarks.outcome import Outcome, choose_rate, verdict
from jobs.benchmarks.present import as_plain, printed
from jobs.benchmarks.rows import Published, Row
from resp_agent.corpus.write import write_corpus
from resp_agent.published import published
from resp_agent.settings import DiagnoserSettings, fingerprint, smoke
from resp_agent.simulation import embedded_corpus
from resp_agent.taxonomy import LABELS

BASE = DiagnoserSettings()


def outcome(title, macro_f1, paper=None, accuracy=None, failed=None):
    """A made-up row: macro-F1 by seed, and the paper's macro-F1."""
    scores = {
        seed: {"macro_f1": value, "accuracy": (accuracy or macro_f1)[seed], "tail_f1": value, "parameters": 1000,
               "seconds": 1.0}
        for seed, value in enumerate(macro_f1)
    }  # fmt: skip
    figures = None if paper is None else Published(paper, paper)
    return Outcome(Row(title, "both", BASE, figures), scores, failed or {}, 0.001)


def test_tables_6_and_7_have_every_published_row_in_its_order():
    first, second = rows.table6(BASE, "whisper"), rows.table7(BASE, "whisper")
    lines = published("table6_7")
    assert [row.title for row in first[:-1] + second] == [line["system"] for line in lines]
    assert first[-1] == second[-1]
    for row, line in zip(first[:-1] + second, lines, strict=True):
        assert (row.modality, row.published.accuracy, row.published.macro_f1) == (
            line["modality"],
            line["accuracy"],
            line["macro_f1"],
        )


def test_the_ablation_has_its_six_rows_and_two_losses():
    table = rows.ablation(BASE, "whisper")
    assert [row.title for row in table] == [
        "Late fusion, raw metadata, no anchors",
        "Late fusion, narrative, no anchors",
        "Weaving, raw metadata, no anchors",
        "Weaving, narrative, no anchors",
        "Weaving, raw metadata, anchors",
        "Weaving, narrative, anchors",
        "Weaving with anchors, class-weighted loss",
        "Weaving with anchors, focal loss",
    ]
    made = [(row.settings.system, row.settings.text, row.settings.anchors, row.settings.loss) for row in table]
    assert made[0] == ("conformer+bert", "metadata", True, "cross-entropy")
    assert made[2] == ("weaving", "metadata", False, "cross-entropy")
    assert made[4] == ("weaving", "metadata", True, "cross-entropy")
    assert made[5] == ("weaving", "narrative", True, "cross-entropy")
    assert [one[3] for one in made[6:]] == ["class-weighted", "focal"]
    assert [row.published.tail_f1 for row in table[5:]] == [None, 0.114, 0.129]
    # What table 7 has too is the same trial; and all of the ablation hears through the same encoder.
    assert table[5].settings == rows.table7(BASE, "whisper")[-1].settings
    assert {row.settings.encoder.kind for row in table} == {"whisper"}


@pytest.mark.parametrize(
    "table",
    [rows.table6(BASE, "whisper", "stem"), rows.table7(BASE, "whisper", "stem"), rows.ablation(BASE, "whisper")],
)
def test_rows_differ_in_what_makes_them_and_in_nothing_else(table):
    assert len({fingerprint(row.settings) for row in table}) == len(table)
    makes = {"system", "text", "text_model", "anchors", "loss", "encoder", "audio_stem", "stem_weights"}
    for row in table:
        for entry in dataclasses.fields(BASE):
            if entry.name not in makes:
                assert getattr(row.settings, entry.name) == getattr(BASE, entry.name)


def test_a_pretrained_stem_adds_rows_that_say_so():
    titles = [row.title for row in rows.table6(BASE, "whisper", "stem.safetensors")]
    assert [title for title in titles if "pretrained" in title] == [
        "Conformer, pretrained",
        "Weaving with anchors, pretrained stem",
    ]
    assert "Weaving with anchors, Conformer stem" in titles
    by_title = {row.title: row for row in rows.table6(BASE, "whisper", "stem.safetensors")}
    assert by_title["Conformer, pretrained"].pretraining == "audio stem stem.safetensors"
    assert by_title["Conformer, pretrained"].published is None
    assert by_title["Conformer"].pretraining == "from scratch"
    for title in ("Whisper-small encoder", "Weaving with anchors"):
        assert by_title[title].pretraining == "whisper, frozen"
    assert by_title["Weaving with anchors, pretrained stem"].settings.encoder == BASE.encoder


def test_a_contradiction_is_a_gap_against_the_paper_beyond_its_deviation_seed_by_seed():
    # Seeds move both rows together: each is noisy, their difference is not.
    strong, weak = outcome("strong", [0.3, 0.5, 0.7], 0.2), outcome("weak", [0.35, 0.56, 0.75], 0.1)
    sentences = verdict([strong, weak])
    gaps = np.array([0.05, 0.06, 0.05])
    assert any(
        sentence.startswith("contradicts the paper (macro-F1): weak is above strong")
        and f"by {gaps.mean():.3f} ± {gaps.std(ddof=1):.3f} over 3 seeds" in sentence
        and "published 0.100 and 0.200" in sentence
        for sentence in sentences
    )
    noisy = outcome("weak", [0.1, 0.9, 0.6], 0.1)
    assert not any("contradicts the paper" in sentence for sentence in verdict([strong, noisy]))
    agreeing = outcome("weak", [0.1, 0.2, 0.3], 0.1)
    assert any("no pair of rows contradicts" in sentence for sentence in verdict([strong, agreeing]))


def test_the_verdict_names_who_is_first_here_and_in_the_paper():
    strong, weak = outcome("strong", [0.5, 0.5], 0.2, accuracy=[0.6, 0.6]), outcome("weak", [0.7, 0.5], 0.1)
    extra = outcome("ours alone", [0.9, 0.9], accuracy=[0.1, 0.1])
    by_f1, by_accuracy = [sentence for sentence in verdict([strong, weak, extra]) if sentence.startswith("first")]
    assert by_f1 == (
        "first here by macro-F1: ours alone (0.900 ± 0.000); first of these in the paper is strong, 0.500 ± 0.000 here"
    )
    assert by_accuracy == "first here by accuracy: strong (0.600 ± 0.000)"


def test_one_seed_is_compared_and_its_spread_said_to_be_unknown():
    sentences = verdict([outcome("strong", [0.3], 0.2), outcome("weak", [0.4], 0.1)])
    assert any("on one seed, of unknown spread" in sentence for sentence in sentences)


def test_the_rate_is_chosen_on_validation_and_never_on_the_test():
    row = Row("row", "both", BASE)

    def result(valid, test):
        return {"valid_macro_f1": valid, "macro_f1": test}

    good, bad = {0: result(0.5, 0.1), 1: result(0.6, 0.1)}, {0: result(0.4, 0.9), 1: result(0.6, 0.9)}
    chosen = choose_rate(row, {0.1: bad, 0.2: good})
    assert (chosen.rate, chosen.mean("macro_f1"), chosen.failed) == (0.2, 0.1, {})
    half = {0: result(0.9, 0.9), 1: {"failed": "it broke"}}
    assert choose_rate(row, {0.1: half, 0.2: good}).rate == 0.2
    only = choose_rate(row, {0.1: half})
    assert (list(only.results), only.failed) == ([0], {1: "it broke"})
    none = choose_rate(row, {0.1: {0: {"failed": "it broke"}}})
    assert (none.results, none.failed) == ({}, {0: "it broke"})


def test_a_failed_row_is_in_text_and_data_with_its_reason():
    table = [outcome("good", [0.5, 0.6], 0.2), outcome("broken", [], 0.3, failed={0: "no weights", 1: "no weights"})]
    sentences = verdict(table)
    assert "failed: broken, seed 0, 1: no weights" in sentences
    text = printed("Title", table, sentences, ["a note"])
    assert re.search(r"broken +both +failed +0\.300 +failed +0\.300", text)
    assert re.search(r"good +both +0\.550 ± 0\.071 +0\.200", text)
    assert max(map(len, text.splitlines())) <= 120
    plain = json.loads(json.dumps(as_plain("Title", table, sentences, []), allow_nan=False))
    assert plain["rows"][1]["macro_f1"] == {"mean": None, "sd": None}
    assert plain["rows"][1]["failed"] == {"0": "no weights", "1": "no weights"}
    assert plain["rows"][0]["seeds"]["1"]["macro_f1"] == 0.6


@pytest.fixture(scope="module")
def recordings():
    """A small embedded corpus."""
    return embedded_corpus(smoke().simulation, 0)


@pytest.fixture(scope="module")
def corpus(recordings, tmp_path_factory):
    """Where it lies."""
    return str(write_corpus(recordings, tmp_path_factory.mktemp("corpus") / "corpus").path)


@pytest.fixture
def attempted(monkeypatch):
    """Titles of the trials that a grid in this process has run."""
    titles, inner = [], grid.attempt
    monkeypatch.setattr(grid, "attempt", lambda trial: titles.append(trial.title) or inner(trial))
    return titles


QUICK = ["--preset", "smoke", "--rates", "1"]
FEW = [*QUICK, "--only", "LSTM", "Conformer"]


def test_a_grid_is_printed_stored_and_drawn_and_repeats_nothing(tmp_path, attempted, capsys):
    flags = [*FEW, "--seeds", "0", "1", "--where", "local", "--out", str(tmp_path / "out")]
    assert main(["table6", *flags]) == 0
    said = capsys.readouterr().out
    assert len(attempted) == 4
    for row in rows.table6(BASE, "whisper"):
        shown = r"0\.\d{3} ± 0\.\d{3}" if row.title in FEW else "not run"
        assert re.search(
            rf"^  {re.escape(row.title)} +{row.modality} +{shown} +{row.published.accuracy:.3f}", said, re.M
        )
    for name in ("table6.json", "table6.png"):
        assert str(tmp_path / "out" / name) in said
        assert (tmp_path / "out" / name).stat().st_size > 0
    table = json.loads((tmp_path / "out" / "table6.json").read_text())
    lstm = table["rows"][0]
    found = [lstm["seeds"][seed]["macro_f1"] for seed in ("0", "1")]
    assert lstm["macro_f1"]["mean"] == pytest.approx(sum(found) / 2)
    assert lstm["macro_f1"]["sd"] == pytest.approx(abs(found[0] - found[1]) / math.sqrt(2))
    # Each seed has an embedded corpus of its own, and no checkpoint is left behind.
    assert lstm["seeds"]["0"]["corpus"] != lstm["seeds"]["1"]["corpus"]
    assert not [path for path in (tmp_path / "out" / "trials").iterdir() if path.is_dir() and path.name != "progress"]

    assert main(["table6", *flags]) == 0
    assert len(attempted) == 4
    lost = sorted((tmp_path / "out" / "trials").glob("*.json"))[0]
    title = json.loads(lost.read_text())["title"]
    before = lost.read_bytes()
    lost.unlink()
    assert main(["table6", *flags]) == 0
    assert attempted[4:] == [title]
    assert {**json.loads(lost.read_text()), "seconds": 0} == {**json.loads(before), "seconds": 0}
    again = json.loads((tmp_path / "out" / "table6.json").read_text())
    assert again["rows"][0]["macro_f1"] == lstm["macro_f1"]


def test_a_row_that_cannot_be_trained_leaves_the_others(corpus, tmp_path, attempted, capsys):
    flags = [*QUICK, "--corpus", corpus, "--seeds", "0", "--where", "local", "--out", str(tmp_path)]
    only = ["--only", "LSTM", "Whisper-small encoder", "--whisper", str(tmp_path / "nowhere")]
    assert main(["table6", *flags, *only]) == 0
    said = capsys.readouterr().out
    assert "failed: Whisper-small encoder, seed 0: there are no weights at" in " ".join(said.split())
    # What failed is tried again; what is done is not.
    assert main(["table6", *flags, *only]) == 0
    assert [title.split(",")[0] for title in attempted] == ["LSTM", "Whisper-small encoder", "Whisper-small encoder"]
    assert main(["table6", *flags, *only[:1], *only[2:]]) == 1
    assert "no row could be trained" in capsys.readouterr().err


def test_test_recordings_of_labels_that_training_lacks_are_left_out_and_counted(recordings, tmp_path, capsys):
    label = next(label for label in LABELS if label not in {one.label for one in recordings})
    tested = [one for one in recordings if one.split == "test"]
    strange = dataclasses.replace(tested[0], id="strange", patient_id="strange", label=label)
    corpus = write_corpus([*recordings, strange], tmp_path / "corpus")
    flags = [*QUICK, "--corpus", str(corpus.path), "--only", "LSTM", "--seeds", "0", "1"]
    assert main(["table6", *flags, "--where", "local", "--out", str(tmp_path / "out")]) == 0
    assert f"1 test recording of other labels left out ({label} 1)" in " ".join(capsys.readouterr().out.split())
    table = json.loads((tmp_path / "out" / "table6.json").read_text())
    results = table["rows"][0]["seeds"]
    assert results["0"]["recordings"] == results["1"]["recordings"] == len(tested)
    assert results["0"]["corpus"] == results["1"]["corpus"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--only", "LSTM", "GRU"], "there is no row 'GRU': choose from LSTM; BERT-base"),
        (["--rates", "0"], "rates are multiples above 0"),
        (["--diagnoser.system", "lstm"], "leave --diagnoser.system out, and choose rows with --only"),
        (["--at-once", "0"], "give --at-once at least 1"),
        (["--corpus", "nowhere"], "there is no corpus at nowhere"),
    ],
)
def test_what_cannot_be_run_is_refused_before_any_training(tmp_path, flags, words, capsys):
    assert main(["table6", "--preset", "smoke", "--where", "local", "--out", str(tmp_path), *flags]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.ray
def test_ray_tune_finds_what_one_process_finds_and_tells_of_failures(small_ray, corpus, tmp_path, capsys):
    only = ["--only", "LSTM", "Whisper-small encoder", "--whisper", str(tmp_path / "nowhere"), "--seeds", "0"]
    flags = [*QUICK, *only, "--corpus", corpus]
    assert main(["table6", *flags, "--out", str(tmp_path / "ray")]) == 0
    assert "failed: Whisper-small encoder, seed 0: there are no weights at" in " ".join(capsys.readouterr().out.split())
    assert main(["table6", *flags, "--where", "local", "--out", str(tmp_path / "local")]) == 0
    tables = [json.loads((tmp_path / where / "table6.json").read_text()) for where in ("ray", "local")]
    assert tables[0]["rows"][0]["macro_f1"] == tables[1]["rows"][0]["macro_f1"]
    assert tables[0]["rows"][0]["seeds"]["0"]["valid_macro_f1"] == tables[1]["rows"][0]["seeds"]["0"]["valid_macro_f1"]
