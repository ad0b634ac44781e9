"""Hard clips: a diagnoser is less sure of them, and everything else about them is as it was."""

import dataclasses

import numpy as np
import pytest
import torch

from resp_agent.curriculum.request import Request
from resp_agent.diagnoser.inputs import Inputs
from resp_agent.diagnoser.learner import Checkpoint
from resp_agent.diagnoser.scoring import score, softmax
from resp_agent.diagnoser.stored import INPUTS, SETTINGS, write_settings
from resp_agent.diagnoser.systems import build
from resp_agent.encoders.patches import waveform_log_mel
from resp_agent.errors import CorruptCheckpoint, UserError
from resp_agent.generator.flow import Tokens
from resp_agent.generator.hardness import Listener, Pull
from resp_agent.generator.style import measure_style
from resp_agent.generator.synthesizer import make_generator
from resp_agent.generator.training import train_generator
from resp_agent.settings import DiagnoserSettings, EncoderSettings
from resp_agent.training.checkpoints import write_whole
from resp_agent.training.engine import AVERAGED
from tests.generator.made_up import LABELS, STYLES, settings, train_split

PULLED = dataclasses.replace(settings().generator.flow, pull=1.0, solver_steps=8)
CHOSEN = dataclasses.replace(
    settings(content="exemplar", flow=PULLED, griffin_lim_iterations=8),
    diagnoser=DiagnoserSettings(width=16, heads=2, layers=1),
)
WINDOW = 50


def inputs(centre: str = "corpus") -> Inputs:
    return Inputs(
        frame_ms=20.0,
        window=WINDOW,
        labels=(*LABELS, "COPD"),
        styles=STYLES,
        mean=(-6.0,) * 64,
        deviation=(1.5,) * 64,
        counts=(3, 2, 1),
        vocabulary=("[UNK]", "cough"),
        text_tokens=8,
        centre=centre,
    )


def diagnoser(centre: str = "corpus"):
    torch.manual_seed(0)
    model = build(CHOSEN.diagnoser, inputs(centre))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.15)
    return model.eval()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    from safetensors.torch import save_file

    def save(partial):
        save_file(diagnoser().state_dict(), partial / AVERAGED)
        inputs().save(partial)
        write_settings(partial, CHOSEN)
        assert {path.name for path in partial.iterdir()} == {AVERAGED, INPUTS, SETTINGS}

    folder = tmp_path_factory.mktemp("diagnoser") / "round"
    return Checkpoint(str(folder), write_whole(folder, save, {"step": 1, "temperature": 1.0}))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generator")
    train_generator(CHOSEN, train_split(), folder)
    return folder


def log_mels(count: int, frames: int = WINDOW) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(-6, 1.5, (count, frames, 64)).astype(np.float32))


def entropy(model, ready: Inputs, heard: np.ndarray) -> np.ndarray:
    """As diagnosis hears recordings without a narrative."""
    told = dataclasses.make_dataclass("Told", ["id", "label", "style", "narrative", "request"])("", "", "", "", None)
    examples = [dataclasses.replace(ready.example(told, one), text=()) for one in heard]
    shares = softmax(score(model, ready, examples))
    return -(shares * np.log(shares)).sum(1)


@pytest.mark.parametrize("centre", ["corpus", "recording"])
def test_entropy_is_that_of_a_diagnosis_without_a_narrative(centre):
    model, heard = diagnoser(centre), log_mels(3)
    expected = entropy(model, inputs(centre), heard.numpy())
    assert expected.std() > 1e-3
    np.testing.assert_allclose(Listener(model, inputs(centre)).entropy(heard), expected, atol=1e-5)


def test_longer_audio_is_heard_in_windows():
    heard = log_mels(2, 2 * WINDOW)
    expected = entropy(diagnoser(), inputs(), heard.numpy())
    np.testing.assert_allclose(Listener(diagnoser(), inputs()).entropy(heard), expected, atol=1e-5)


def test_direction_is_the_slope_of_the_entropy():
    listener, heard = Listener(diagnoser(), inputs()), log_mels(2)
    towards = torch.from_numpy(np.random.default_rng(1).standard_normal(heard.shape).astype(np.float32))
    with torch.no_grad():
        slope = (listener.entropy(heard + 0.01 * towards) - listener.entropy(heard - 0.01 * towards)) / 0.02
        told = (listener.direction(heard) * towards).sum((1, 2))
    np.testing.assert_allclose(told, slope, rtol=0.02, atol=2e-3)


def test_a_pull_is_the_slope_over_tokens_at_one_size():
    rng = np.random.default_rng(2)
    listener, style = Listener(diagnoser(), inputs()), measure_style("one", list(log_mels(2).numpy()), [np.zeros(7)])
    # An odd number of frames: the last token is half full.
    drafts = torch.from_numpy(rng.standard_normal((2, 41, 64)).astype(np.float32))
    tokens = Tokens.fit(list(drafts.numpy()), 2, 6)
    estimate = torch.from_numpy(rng.standard_normal((2, 21, 6)).astype(np.float32))
    pull = Pull(listener, tokens, drafts, style, 0.5)(estimate)
    np.testing.assert_allclose(pull.square().mean((1, 2)).sqrt(), 0.5, rtol=1e-4)

    def heard(moved: torch.Tensor) -> torch.Tensor:
        normal = [tokens.decode(one, draft) for one, draft in zip(moved.numpy(), drafts.numpy(), strict=True)]
        return torch.from_numpy(np.stack(normal) * style.sd + style.mean)

    with torch.no_grad():
        up, down = (listener.entropy(heard(estimate + sign * 0.05 * pull)) for sign in (1, -1))
        across = torch.from_numpy(rng.standard_normal(pull.shape).astype(np.float32))
        across -= pull * (across * pull).sum((1, 2), keepdim=True) / pull.square().sum((1, 2), keepdim=True)
        left, right = (listener.entropy(heard(estimate + sign * 0.05 * across)) for sign in (1, -1))
    assert (up - down > 10 * (left - right).abs()).all()


def test_hard_clips_leave_the_diagnoser_less_sure(trained, checkpoint):
    generator, plain = (make_generator(CHOSEN, train_split(), trained) for _ in range(2))
    generator.listen(checkpoint)
    easy = Request("asthma", "bright", 8, 3, "exemplar")
    same = [clip.waveform.tobytes() for clip in plain.synthesize(easy)]
    assert same == [clip.waveform.tobytes() for clip in generator.synthesize(easy)]

    def unsure(hardness: float) -> float:
        hard = dataclasses.replace(easy, hardness=hardness, diagnoser="a digest")
        clips = generator.synthesize(hard)
        assert clips[0].request["hardness"] == hardness
        heard = np.stack([waveform_log_mel(clip.waveform, CHOSEN.audio) for clip in clips])
        return entropy(diagnoser(), inputs(), heard).mean()

    least, some, most = unsure(0.0), unsure(0.5), unsure(1.0)
    assert least < some < most


def test_what_cannot_be_is_one_sentence(trained, checkpoint):
    generator = make_generator(CHOSEN, train_split(), trained)
    with pytest.raises(UserError, match=r"hardness of 0\.5 is for a diagnoser, and none is given"):
        generator.synthesize(Request("asthma", "bright", 1, 3, "exemplar", 0.5))
    control = make_generator(settings(kind="style-transfer"), train_split(), None)
    with pytest.raises(UserError, match="style transfer cannot"):
        control.listen(checkpoint)
    whisper = dataclasses.replace(CHOSEN.diagnoser, encoder=EncoderSettings(kind="whisper", weights="somewhere"))
    deaf = make_generator(CHOSEN, train_split(), trained)
    deaf._settings = dataclasses.replace(CHOSEN, diagnoser=whisper)
    with pytest.raises(UserError, match="hears whisper"):
        deaf.listen(checkpoint)
    with pytest.raises(CorruptCheckpoint):
        generator.listen(Checkpoint(checkpoint.folder, {**checkpoint.digests, AVERAGED: "other"}))
