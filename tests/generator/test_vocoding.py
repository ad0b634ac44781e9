from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from resp_agent.audio.features import log_mel
from resp_agent.curriculum.request import Request
from resp_agent.encoders.patches import waveform_log_mel
from resp_agent.errors import RunFailed, UserError
from resp_agent.generator.synthesizer import make_generator
from resp_agent.generator.training import generator_fingerprint, train_generator
from resp_agent.generator.vocoder import vocode
from resp_agent.generator.vocoding import GriffinLim, VocosVocoder, levelled, make_vocoder
from resp_agent.generator.vocos import Vocos
from resp_agent.generator.vocos_training import sizes_of, train_vocoder
from resp_agent.randomness import stream
from resp_agent.settings import AudioSettings, TrainingSettings, VocoderSettings
from tests.generator.made_up import settings, train_split

AUDIO = AudioSettings(clip_s=1.0)
SILENCE = np.full(7, -20.0, np.float32)
SHORT = TrainingSettings(steps=3, batch=4, warmup=1, checkpoint_every=2)
VOCOS = VocoderSettings("vocos", width=16, inner=32, layers=1, segment_s=0.2, resolutions_ms=(8,), training=SHORT)
ASKED = Request("asthma", "dull", 3, 7, "planned")


def untrained() -> VocosVocoder:
    torch.manual_seed(0)
    return VocosVocoder(Vocos(sizes_of(VOCOS, AUDIO)), AUDIO)


def target() -> np.ndarray:
    return np.stack([waveform_log_mel(one.waveform, AUDIO) for one in train_split()[:3]])


def test_a_copy_is_as_loud_as_its_log_mel():
    for louder in (-4.0, 0.0, 4.0):
        wanted = target() + np.float32(louder)
        heard = log_mel(torch.from_numpy(untrained()(wanted, SILENCE, [])), AUDIO).exp().sum((1, 2))
        np.testing.assert_allclose(heard, np.exp(wanted).sum((1, 2)), rtol=0.02)


def test_a_clip_does_not_depend_on_its_batch():
    vocoder, wanted = untrained(), target()
    np.testing.assert_allclose(vocoder(wanted, SILENCE, [])[1], vocoder(wanted[1:2], SILENCE, [])[0], atol=1e-5)


def test_griffin_lim_is_that_of_its_module():
    rngs = [[stream(0, index) for index in range(3)] for _ in range(2)]
    made = GriffinLim(AUDIO, 2)(target(), SILENCE, rngs[0])
    np.testing.assert_array_equal(made, vocode(target(), AUDIO, 2, rngs[1], [SILENCE] * 3))


def test_what_is_broken_is_told():
    broken = target()
    broken[1, 3, 5] = np.nan
    with pytest.raises(RunFailed, match="NaN or infinity"):
        untrained()(broken, SILENCE, [])
    with pytest.raises(RunFailed, match="not finite: train it again"):
        levelled(torch.full((1, 16_000), torch.inf), torch.from_numpy(target()[:1]), AUDIO)
    assert np.abs(levelled(torch.ones(1, 16_000), torch.full((1, 50, 64), 9.0), AUDIO)).max() == 1


def test_a_generator_trains_its_own_vocos_and_is_heard_by_it(tmp_path):
    chosen, train = settings(vocoder=VOCOS), train_split()
    parts = []
    train_generator(chosen, train, tmp_path, log=lambda news: parts.append(news["part"]))
    assert parts[-3:] == ["vocoder"] * 3
    ours = make_generator(chosen, train, tmp_path).synthesize(ASKED)
    plain = settings()
    train_generator(plain, train, tmp_path / "plain")
    theirs = make_generator(plain, train, tmp_path / "plain").synthesize(ASKED)
    assert [len(one.waveform) for one in ours] == [16_000] * 3
    assert not np.allclose(ours[0].waveform, theirs[0].waveform, atol=0.01)


def test_one_that_was_trained_by_itself_is_used_and_names_the_generator(tmp_path):
    train, own = train_split(), tmp_path / "vocoder"
    train_vocoder(VOCOS, AUDIO, 3, train, own)
    chosen = settings(vocoder=VocoderSettings("vocos", str(own)))
    train_generator(chosen, train, tmp_path / "generator")
    assert not (tmp_path / "generator" / "vocoder").exists()
    assert len(make_generator(chosen, train, tmp_path / "generator").synthesize(ASKED)) == 3
    before = generator_fingerprint(chosen, train)
    own.rename(tmp_path / "first")
    train_vocoder(VOCOS, AUDIO, 4, train, own)
    assert generator_fingerprint(chosen, train) != before
    with pytest.raises(UserError, match="holds no trained vocoder"):
        generator_fingerprint(settings(vocoder=VocoderSettings("vocos", str(tmp_path / "nothing"))), train)


def test_the_control_needs_no_weights():
    assert isinstance(make_vocoder(settings(vocoder=VOCOS), None), GriffinLim)
    with pytest.raises(UserError, match="holds no trained vocoder"):
        make_vocoder(replace(settings(vocoder=VOCOS)), Path("nowhere"))
