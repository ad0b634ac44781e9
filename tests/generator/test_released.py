"""The released generator from end to end, on the release and on parts that do not fit one another."""

import copy
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from jobs.weights import main_import
from resp_agent.errors import RunFailed, UserError
from resp_agent.generator.released import ReleasedGenerator
from resp_agent.generator.released_flow import ReleasedFlow
from resp_agent.randomness import stream
from tests.diagnoser.released_layout import make_beats
from tests.generator.released_layout import FlowSizes, make_flow


@pytest.fixture(scope="module")
def generator(shared):
    return ReleasedGenerator.load(shared / "reference/released")


@pytest.fixture(scope="module")
def style():
    return 0.1 * np.random.default_rng(7).standard_normal(20_000).astype(np.float32)


def test_a_clip_is_what_its_parts_make_one_after_the_other(generator, style):
    (made,) = generator.synthesize(style, "Asthma", seed=3, duration_s=1.2)
    with torch.inference_mode():
        features = generator.encoder.features(torch.from_numpy(style)[None])
        draws = stream(3, "units", 0).random(60)[None]
        units = generator.planner.write_units(features, ["Asthma"], draws, least=60)[0]
        # 1.2 s are 60 units and 112.5 frames, which round to the even number.
        x0 = 0.5 * torch.from_numpy(stream(3, "noise", 0).standard_normal((1, 100, 112), np.float32))
        mel = generator.flow.mel(x0, torch.from_numpy(units)[None], features, torch.zeros(1, 100, 112), 3.0, 32)
        waveform = generator.vocos(2.2615 * mel - 5.8843)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, waveform[0].clamp(-1, 1).numpy(), atol=1e-6)
    assert abs(len(made) / 24_000 - 1.2) < 0.02


def test_clips_are_told_apart_by_place_and_seed_and_are_the_same_in_any_number(generator, style):
    three = generator.synthesize(style, "Asthma", 3, seed=1, duration_s=0.6)
    assert [np.abs(one).max() > 0 for one in three] == [True] * 3
    again = generator.synthesize(style, "Asthma", 3, seed=1, duration_s=0.6)
    assert all(np.array_equal(one, other) for one, other in zip(three, again, strict=True))
    (first,) = generator.synthesize(style, "Asthma", 1, seed=1, duration_s=0.6)
    np.testing.assert_allclose(first, three[0], atol=1e-4)
    (other,) = generator.synthesize(style, "Asthma", 1, seed=2, duration_s=0.6)
    assert not np.allclose(three[0], three[1], atol=1e-2)
    assert not np.allclose(first, other, atol=1e-2)


def test_the_planner_may_end_a_clip(generator, style):
    lengths = {len(clip) for clip in generator.synthesize(style, "Asthma", 6, temperature=30.0)}
    assert len(lengths) > 1
    assert min(lengths) >= 0.48 * 24_000
    assert max(lengths) <= 512 * 256


def test_nothing_of_the_reference_is_in_a_clip(generator, style, monkeypatch):
    given = []
    mel = ReleasedFlow.mel
    monkeypatch.setattr(ReleasedFlow, "mel", lambda *args: given.append(args) or mel(*args))
    generator.synthesize(style, "Asthma", duration_s=0.5)
    (_, _, _, _, reference), *_ = given
    assert not reference.any()


def test_what_was_imported_makes_the_same_clips(shared, generator, style, tmp_path):
    release = shared / "reference/released"
    files = {"beats": "beats_encoder.pt", "planner": "planner.pth", "flow": "flow.pt", "vocos": "vocos.bin"}
    flags = [part for name, file in files.items() for part in (f"--{name}", str(release / file))]
    assert main_import([*flags, "--out", str(tmp_path)]) == 0
    (again,) = ReleasedGenerator.load(tmp_path).synthesize(style, "Asthma", duration_s=0.5)
    (known,) = generator.synthesize(style, "Asthma", duration_s=0.5)
    assert np.array_equal(again, known)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"duration_s": 0.0}, r"clips of 0 s: this generator makes 0\.5 to 5\.46"),
        ({"duration_s": 600.0}, r"clips of 600 s"),
        ({"duration_s": float("nan")}, r"clips of nan s"),
        ({"count": 0}, "0 clips are none"),
        ({"style": np.zeros(100, np.float32)}, "100 samples is shorter than"),
        ({"style": np.zeros((2, 16_000), np.float32)}, "not one row"),
        ({"disease": "[END]"}, "names a token"),
    ],
)
def test_what_cannot_be_made_is_refused(generator, style, arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        generator.synthesize(**{"style": style, "disease": "Asthma"} | arguments)


def test_audio_that_is_not_finite_fails(generator, style):
    broken = replace(generator, flow=copy.deepcopy(generator.flow))
    broken.flow.pos_emb.fill_(1e30)
    with pytest.raises(RunFailed, match="not finite"):
        broken.synthesize(style, "Asthma", duration_s=0.5)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda folder: make_beats(folder, seed=1), "16 numbers a token and the planner takes 48"),
        (lambda folder: make_flow(folder, FlowSizes()), "48 numbers a token and the flow takes 16"),
        (
            lambda folder: make_flow(folder, FlowSizes(feature_width=48, mels=100)),
            "writes 64 units and the flow knows 11",
        ),
        (lambda folder: make_flow(folder, FlowSizes(feature_width=48, units=64)), "7 mel bands"),
    ],
)
def test_parts_that_do_not_fit_are_refused(shared, tmp_path, spoil, sentence):
    release, folder = shared / "reference/released", tmp_path / "release"
    shutil.copytree(release, folder, copy_function=shutil.copyfile)
    folder.chmod(0o755)
    spoil(folder)
    with pytest.raises(UserError, match=sentence):
        ReleasedGenerator.load(folder)
    (folder / "vocos.bin").unlink()
    with pytest.raises(UserError, match=r"has no vocos\.safetensors or vocos\.bin"):
        ReleasedGenerator.load(folder)
