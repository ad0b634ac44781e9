from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from resp_agent.audio.features import log_mel
from resp_agent.errors import RunFailed, UserError
from resp_agent.generator.vocos import Vocos
from resp_agent.generator.vocos_training import Crops, load_vocoder, render, sizes_of, train_vocoder
from resp_agent.settings import AudioSettings, TrainingSettings, VocoderSettings
from tests.generator.made_up import train_split

AUDIO = AudioSettings()
SHORT = TrainingSettings(steps=5, batch=4, warmup=1, checkpoint_every=2)
TINY = VocoderSettings(width=16, inner=32, layers=1, segment_s=0.2, resolutions_ms=(8, 16), training=SHORT)


def crops(**changes) -> Crops:
    return Crops(replace(TINY, **changes), AUDIO, 0, [one.waveform for one in train_split()])


def test_it_learns_to_copy(tmp_path):
    losses = []
    training = replace(SHORT, steps=60, learning_rate=5e-3, batch=8, checkpoint_every=100)
    chosen = replace(TINY, width=32, inner=64, training=training)
    train_vocoder(chosen, AUDIO, 0, train_split(), tmp_path / "v", log=lambda news: losses.append(news["loss"]))
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:5])
    assert load_vocoder(tmp_path / "v", AUDIO).sizes == sizes_of(chosen, AUDIO)


@pytest.mark.parametrize("last", [1, 2, 3, 4])
def test_one_that_ended_after_any_step_goes_on_to_the_same_bits(tmp_path, last):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train_vocoder(TINY, AUDIO, 0, train_split(), whole)

    def end(news):
        if news["step"] == last:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_vocoder(TINY, AUDIO, 0, train_split(), broken, log=end)
    assert not broken.exists()
    train_vocoder(TINY, AUDIO, 0, train_split(), broken)
    one, two = (load_file(folder / "vocos.safetensors") for folder in (whole, broken))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert {path.name for path in tmp_path.iterdir()} == {"whole", "broken"}


def test_a_folder_holds_one_vocoder(tmp_path):
    train_vocoder(TINY, AUDIO, 0, train_split(), tmp_path / "v")
    before = (tmp_path / "v" / "vocos.safetensors").stat().st_mtime_ns
    train_vocoder(replace(TINY, kind="vocos"), AUDIO, 0, train_split(), tmp_path / "v")
    assert (tmp_path / "v" / "vocos.safetensors").stat().st_mtime_ns == before
    with pytest.raises(RunFailed, match="other settings or another corpus"):
        train_vocoder(TINY, AUDIO, 1, train_split(), tmp_path / "v")
    with pytest.raises(UserError, match="hop_ms of 20 and not 10: train one on these"):
        load_vocoder(tmp_path / "v", replace(AUDIO, hop_ms=10, clip_s=5))
    with pytest.raises(UserError, match="holds no trained vocoder"):
        load_vocoder(tmp_path, AUDIO)


def test_what_cannot_be_learned_from_is_refused(tmp_path):
    with pytest.raises(UserError, match="there are none"):
        train_vocoder(TINY, AUDIO, 0, [], tmp_path / "v")
    with pytest.raises(UserError, match=r"crop of 0.005 s is shorter than a hop of 20"):
        train_vocoder(replace(TINY, segment_s=0.005), AUDIO, 0, train_split(), tmp_path / "v")
    with pytest.raises(UserError, match="leaves gaps"):
        train_vocoder(replace(TINY, fft=320), AUDIO, 0, train_split(), tmp_path / "v")
    with pytest.raises(UserError, match="learns nothing"):
        VocoderSettings(trained="somewhere")


def test_a_louder_log_mel_makes_the_same_audio_louder():
    torch.manual_seed(0)
    model, mel = Vocos(sizes_of(TINY, AUDIO)), torch.randn(2, 30, AUDIO.mels)
    soft, loud = render(model, mel), render(model, mel + np.log(100))
    assert soft.shape == (2, 30 * 320)
    torch.testing.assert_close(loud, 10 * soft, rtol=1e-4, atol=1e-4)


def test_crops_are_pieces_of_recordings_and_repeat():
    one, again = crops().examples(3), crops().examples(3)
    for first, second in zip(one, again, strict=True):
        np.testing.assert_array_equal(first.waveform, second.waveform)
        np.testing.assert_array_equal(first.perturbation, second.perturbation)
        assert any(_within(first.waveform, recording.waveform) for recording in train_split())
    assert not np.array_equal(one[0].waveform, crops().examples(4)[0].waveform)
    waveforms, perturbations = crops().collate(one)
    assert log_mel(waveforms, AUDIO).shape == perturbations.shape == (4, 10, AUDIO.mels)


def test_a_recording_shorter_than_a_crop_is_padded_and_no_perturbation_is_none():
    whole = crops(segment_s=2.0, perturbation=0.0).examples(0)
    assert all(one.waveform.shape == (32_000,) and not one.waveform[16_000:].any() for one in whole)
    assert not any(one.perturbation.any() for one in whole)


def test_losses_are_the_same_in_micro_batches(tmp_path):
    def trained(accumulation):
        training = replace(SHORT, steps=2, accumulation=accumulation)
        train_vocoder(replace(TINY, training=training), AUDIO, 0, train_split(), tmp_path / str(accumulation))
        return load_file(tmp_path / str(accumulation) / "vocos.safetensors")

    one, two = trained(1), trained(2)
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, atol=2e-4, rtol=0)


def _within(piece: np.ndarray, whole: np.ndarray) -> bool:
    starts = np.flatnonzero(whole[: len(whole) - len(piece) + 1] == piece[0])
    return any(np.array_equal(whole[start : start + len(piece)], piece) for start in starts)
