"""The speed benchmark: both paths are of the same model sizes and hear the same clips."""

import json

import numpy as np
import pytest
import torch

from jobs.benchmarks.speed import SpeedBenchmark, speed_diagnoser
from jobs.benchmarks.speed_paths import MEAN_S, Ours, Reference, Sizes, make_clips
from resp_agent.encoders.beats_model import Beats, BeatsSettings
from resp_agent.errors import UserError
from resp_agent.taxonomy import LABELS

SMALL = {"layers": 1, "width": 32, "heads": 4, "window": 32}


def test_clips_have_the_corpus_lengths():
    clips = make_clips(400, seed=1)
    assert np.mean([len(clip.waveform) / 16000 for clip in clips]) == pytest.approx(MEAN_S, rel=0.1)
    again = make_clips(400, seed=1)
    assert all((one.waveform == other.waveform).all() for one, other in zip(clips, again, strict=True))


@pytest.mark.parametrize("anchor_ms", [80, 160])
def test_both_paths_answer_for_every_clip_and_ours_for_every_window(tmp_path, anchor_ms):
    torch.manual_seed(0)
    sizes = Sizes(**SMALL, anchor_ms=anchor_ms)
    beats = Beats(BeatsSettings(width=32, feedforward=64, heads=4, layers=1)).eval()
    clips = make_clips(6, seed=0)
    windows = sum(-(-len(clip.waveform) // 160_000) for clip in clips)
    ours, reference = Ours(sizes, beats, tmp_path), Reference(sizes, beats)
    assert reference(clips).logits.shape == (6, len(LABELS))
    assert ours.diagnose(clips).shape == (windows, len(LABELS))
    assert ours.model.anchor * ours.model.settings.token_ms == anchor_ms
    layers = [model.encoder.layer[0] for model in (ours.model.backbone, reference.longformer.longformer)]
    first, second = (sum(parameter.numel() for parameter in layer.parameters()) for layer in layers)
    assert first == second


def test_writes_times_and_ratios(tmp_path, capsys):
    file = tmp_path / "speed.json"
    assert speed_diagnoser(SpeedBenchmark(**SMALL, batch=2, repeats=1, threads=1, json=str(file))) == 0
    result = json.loads(file.read_text())
    assert set(result) == {"training_step", "training_step_cached", "inference"}
    for entry in result.values():
        assert entry["ratio"] == pytest.approx(entry["reference_s"] / entry["ours_s"])
    assert result["training_step"]["reference_s"] == result["training_step_cached"]["reference_s"]
    assert "ratio" in capsys.readouterr().out


def test_impossible_sizes_are_refused():
    with pytest.raises(UserError, match="does not divide into 5 heads"):
        SpeedBenchmark(width=32, heads=5)
    with pytest.raises(UserError, match="every 80 or 160 ms, not 40"):
        SpeedBenchmark(anchor_ms=40)
