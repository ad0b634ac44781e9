import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from jobs.benchmark import parse
from jobs.benchmarks.table4 import SOURCES, Table4Benchmark, table4
from jobs.benchmarks.table4_clips import (
    CONTENT_SWAP,
    NOISE_DB,
    STYLE_SWAP,
    cells_of,
    duplicates,
    real,
    shortened,
    swapped,
    vocoded,
)
from jobs.benchmarks.table4_present import Row, verdict
from jobs.exits import run_job
from resp_agent.encoders.patches import waveform_log_mel
from resp_agent.published import published
from resp_agent.taxonomy import CONTROL
from tests.generator.made_up import LABELS, STYLES, recording, settings, train_split

TRAIN = train_split()
SETTINGS = settings()
EVERY = {(label, style) for label in LABELS for style in STYLES}


def main(words: list[str]) -> int:
    return run_job(lambda argv: table4(parse(Table4Benchmark, "table4", argv)), words)


class Made:
    """A generator that renders nothing: a clip is its content with what was asked for."""

    def __init__(self):
        self.asked = []

    def synthesize(self, request):
        self.asked.append(request)
        own = [one for one in TRAIN if one.label == request.label]
        references = [one for one in TRAIN if one.style == request.style]
        rng = np.random.default_rng(request.seed % 2**32)
        picked = [
            (own[rng.integers(len(own))], references[rng.integers(len(references))]) for _ in range(request.count)
        ]
        return [
            replace(content, style=request.style, request={"content_id": content.id, "reference_id": reference.id})
            for content, reference in picked
        ]


def test_cells_are_those_that_can_be_swapped():
    # Asthma was heard in the dull style alone, and a content swap has healthy references.
    assert set(cells_of(STYLE_SWAP, TRAIN, EVERY)) == EVERY - {("asthma", "dull")}
    assert set(cells_of(CONTENT_SWAP, TRAIN, EVERY)) == {("asthma", style) for style in STYLES}
    assert cells_of(STYLE_SWAP, TRAIN, {("asthma", "dull"), ("pneumonia", "dull")}) == []
    alone = [one for one in TRAIN if one.style == "dull"] + [replace(TRAIN[0], patient_id=TRAIN[9].patient_id)]
    assert ("asthma", "bright") in cells_of(STYLE_SWAP, alone, EVERY)
    assert ("asthma", "bright") not in cells_of(STYLE_SWAP, [alone[-1], TRAIN[9]], EVERY)


def test_a_style_swap_keeps_clips_whose_content_is_of_another_style():
    generator, cells = Made(), cells_of(STYLE_SWAP, TRAIN, EVERY)
    clips = swapped(generator, STYLE_SWAP, cells, 3, 5, TRAIN)
    assert len(clips.recordings) == 3 * len(cells)
    by_id = {one.id: one for one in TRAIN}
    for clip, content, reference in zip(clips.recordings, clips.contents, clips.references, strict=True):
        assert content == by_id[clip.request["content_id"]].style != clip.style
        assert reference.style == clip.style
    first = {(request.label, request.style): request.seed for request in reversed(generator.asked)}
    assert first[CONTROL, "bright"] == first[CONTROL, "dull"] != first["asthma", "bright"]


def test_a_content_swap_keeps_clips_whose_reference_is_of_another_label():
    generator = Made()
    clips = swapped(generator, CONTENT_SWAP, sorted(EVERY), 3, 5, TRAIN)
    assert clips.recordings
    assert all(one.label != other.label for one, other in zip(clips.recordings, clips.references, strict=True))
    first = {(request.label, request.style): request.seed for request in reversed(generator.asked)}
    assert first[CONTROL, "dull"] == first["asthma", "dull"] != first[CONTROL, "bright"]


def test_clips_of_no_recording_are_swaps_with_a_drawn_reference():
    made = SimpleNamespace(
        synthesize=lambda request: (
            [
                replace(
                    TRAIN[0],
                    label=request.label,
                    style=request.style,
                    request={"content_id": None, "reference_id": None},
                )
            ]
            * request.count
        )
    )
    clips = swapped(made, STYLE_SWAP, [("asthma", "bright")], 4, 5, TRAIN)
    assert clips.contents == [None] * 4
    assert {(one.style, one.label) for one in clips.references} == {("bright", CONTROL)}


def test_duplicates_are_of_the_wrong_style_under_white_noise():
    clips = duplicates(sorted(EVERY), 5, 3, TRAIN)
    assert {(one.label, one.style) for one in clips.recordings} == EVERY - {("asthma", "dull")}
    by_id = {one.id: one for one in TRAIN}
    for made, content in zip(clips.recordings, clips.contents, strict=True):
        source = by_id[made.id]
        assert (source.label, source.style) == (made.label, content)
        noise = made.waveform - source.waveform
        level_db = 20 * np.log10(source.waveform.std() / noise.std())
        assert level_db == pytest.approx(NOISE_DB, abs=0.3)
        assert content != made.style


def test_real_recordings_stand_in_for_clips_and_are_cut_to_their_length():
    long = [recording(CONTROL, "dull", "p", seed, 2.0) for seed in range(3)]
    clips = real({(CONTROL, "dull")}, [*long, recording("asthma", "dull", "p", 9)], 1, TRAIN)
    assert clips.recordings == long
    cut = shortened([*long, TRAIN[0]], 16_000)
    assert [len(one.waveform) for one in cut] == [16_000] * 4
    assert len({one.waveform.tobytes() for one in cut}) == 4
    np.testing.assert_array_equal(cut[3].waveform, TRAIN[0].waveform)


def test_what_the_vocoder_rebuilds_keeps_its_log_mel():
    clips = real(EVERY, [one for one in TRAIN if one.style == "dull"], 1, TRAIN)
    rebuilt = vocoded(clips, SETTINGS, 1)
    assert rebuilt.references == clips.references
    for one, other in zip(clips.recordings, rebuilt.recordings, strict=True):
        assert not np.array_equal(one.waveform, other.waveform)
        before, after = (waveform_log_mel(each.waveform, SETTINGS.audio).mean(0) for each in (one, other))
        assert np.abs(after - before).mean() < 0.4
    again = vocoded(clips, SETTINGS, 1).recordings[0].waveform
    np.testing.assert_array_equal(again, rebuilt.recordings[0].waveform)


def figures(**changed: float) -> dict:
    known = {"p_acc": 0.9, "style_sim": 0.9, "fad": 1.0, "memorised": 0.0, "clips": 280, "closest": 1.2}
    return {"swaps": dict.fromkeys((STYLE_SWAP, CONTENT_SWAP), known | changed)}


def test_the_verdict_says_what_is_met_and_what_is_not():
    rows = [Row("generator", {1: figures(), 2: figures(p_acc=0.6)}), Row(SOURCES[-1].title, {1: figures(fad=4.0)})]
    said = verdict(rows)[0]
    assert said.startswith("style swap: P-Acc 0.750, which is not at least 0.85; Style-Sim 0.900, which is at least")
    assert "FAD 0.25 of the duplicates', which is at most 0.5" in said
    assert "0 of 560 clips nearer" in said
    assert verdict([Row("generator", {}), rows[1]]) == []


def test_published_figures_are_those_of_the_paper(shared):
    page = (shared / "method.md").read_text()
    swaps = {row["setting"]: row for row in published("table4") if row["system"] == "Resp-Agent"}
    for row in published("table4")[:3]:
        assert f"{row['system']} {'FAD ' if 'WaveGAN' in row['system'] else ''}{row['fad']}" in page
        assert str(row["style_sim"]) in page
    style, content = swaps["style swap"], swaps["content swap"]
    assert f"style swap Style-Sim {style['style_sim']}, P-Acc {style['p_acc']:.1%}".replace("%", " %") in page
    assert f"content swap {content['style_sim']}, {content['p_acc']:.1%}, {content['fad']}".replace("%", " %") in page
    assert f"FAD {swaps['generation']['fad']}, Style-Sim {swaps['generation']['style_sim']}" in page


def test_the_smallest_table_is_measured_once(tmp_path, capsys):
    words = ["--preset", "smoke", "--seeds", "1", "--count", "2", "--out", str(tmp_path), "--backbone.kind", "log-mel"]
    words += ["--judge.per-cell", "2", "--judge.steps", "3", "--generator.content", "exemplar"]
    assert main([*words, "--only", "generator", "real recordings"]) == 0
    table = json.loads((tmp_path / "table4.json").read_text())
    rows = {row["title"]: row for row in table["rows"]}
    assert list(rows) == [source.title for source in SOURCES]
    for title in ("generator", "real recordings"):
        for swap in rows[title]["swaps"].values():
            assert 0 <= swap["p_acc"]["mean"] <= 1
            assert -1 <= swap["style_sim"]["mean"] <= 1
            assert swap["fad"]["mean"] is not None
    assert 0 <= rows["generator"]["swaps"][STYLE_SWAP]["leak"]["mean"] <= 1
    assert rows["real recordings"]["swaps"][STYLE_SWAP]["leak"]["mean"] is None
    assert rows["oracle"]["swaps"][STYLE_SWAP]["p_acc"]["mean"] is None
    assert any("learned from 2 simulated recordings" in note for note in table["notes"])
    assert (tmp_path / "table4.png").read_bytes()[:4] == b"\x89PNG"
    capsys.readouterr()
    assert main([*words, "--only", "generator"]) == 0
    said = capsys.readouterr().out
    assert "0 left to do" in said
    assert "log-mel (mean and deviation of bands)" in said


def test_what_makes_no_table_is_refused(tmp_path, capsys):
    for words, why in (
        (["--only", "magic"], "there is no row 'magic'"),
        (["--corpus", "folder=/x", "--only", "oracle"], "there is no row 'oracle'"),
        (["--count", "1"], "have no variety"),
        (["--backbone.kind", "beats", "--backbone.weights", "/nowhere.pt"], "/nowhere.pt"),
    ):
        assert main(["--out", str(tmp_path), *words]) == 2
        assert why in capsys.readouterr().err
