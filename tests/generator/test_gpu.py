"""The generator on a GPU: what is learned there, and that its parts make what they make on a CPU."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from resp_agent.curriculum.request import Request
from resp_agent.encoders.patches import waveform_log_mel
from resp_agent.generator.examples import Draw, FlowExamples
from resp_agent.generator.planner import PlannerBatch
from resp_agent.generator.synthesizer import make_generator
from resp_agent.generator.training import load_generator, train_generator
from resp_agent.generator.vocos_training import load_vocoder, render
from resp_agent.settings import TrainingSettings, VocoderSettings
from resp_agent.training.distributed import on_device
from tests.generator.made_up import settings, train_split

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]
VOCOS = VocoderSettings(
    "vocos",
    width=32,
    inner=64,
    layers=2,
    segment_s=0.4,
    training=TrainingSettings(steps=40, batch=8, learning_rate=4e-3, warmup=5, checkpoint_every=100),
)


@pytest.fixture(scope="module", autouse=True)
def exact():
    """Convolutions on a GPU are rounded to 10 bits by default."""
    before, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, False
    yield
    torch.backends.cudnn.allow_tf32 = before


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Settings, training split and folder of a generator that was trained on the GPU, and the losses of its vocoder."""
    folder, losses = tmp_path_factory.mktemp("generator"), []
    chosen, train = settings(vocoder=VOCOS), train_split()
    train_generator(chosen, train, folder, log=lambda news: news["part"] == "vocoder" and losses.append(news["loss"]))
    return chosen, train, folder, losses


def test_it_learns_there(trained):
    losses = trained[-1]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])


def test_flow_planner_and_vocoder_make_what_they_make_on_a_cpu(trained):
    chosen, train, folder, _ = trained
    models = load_generator(chosen, folder, train)
    assert next(models.flow.parameters()).is_cuda
    how = replace(chosen.generator.flow, solver_steps=4, guidance=2.0)
    rendering = FlowExamples(chosen, models.material, models.codebook, models.tokens, Draw(models.material))
    batch = rendering.collate(rendering.examples(0))
    inputs = (batch.draft, batch.style, batch.noise)
    here = copy.deepcopy(models.flow).cpu().sample(*inputs, how)
    torch.testing.assert_close(models.flow.sample(*on_device(inputs, "cuda"), how).cpu(), here, atol=1e-4, rtol=0)

    rng = np.random.default_rng(0)
    slots = torch.from_numpy(rng.standard_normal((2, 4, 4 * chosen.audio.mels), np.float32))
    asked = PlannerBatch(slots, torch.tensor([models.vocabulary.label("asthma")] * 2), torch.full((2, 1), -1))
    given = (np.zeros((2, 0), np.int64), rng.random((2, 30)), 1.0, 1.0, 2.0)
    here = copy.deepcopy(models.planner).cpu().write(asked, *given)
    np.testing.assert_array_equal(models.planner.write(on_device(asked, "cuda"), *given), here)

    vocos = load_vocoder(folder / "vocoder", chosen.audio)
    log_mels = torch.from_numpy(np.stack([waveform_log_mel(one.waveform, chosen.audio) for one in train[:3]]))
    with torch.inference_mode():
        here = render(vocos, log_mels)
        there = render(vocos.cuda(), log_mels.cuda()).cpu()
    torch.testing.assert_close(there, here, atol=1e-4, rtol=0)


@pytest.mark.parametrize("content", ["planned", "exemplar"])
def test_clips_are_the_same_in_any_batch(trained, content):
    chosen, train, folder, _ = trained
    generator = make_generator(chosen, train, folder)
    eight = generator.synthesize(Request("asthma", "dull", 8, 7, content))
    three = generator.synthesize(Request("asthma", "dull", 3, 7, content))
    for one, other in zip(three, eight, strict=False):
        np.testing.assert_allclose(one.waveform, other.waveform, atol=1e-4)
