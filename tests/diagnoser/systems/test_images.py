"""Systems on log-mel images, beside what `test_systems` asks of every system: norms, pools, repeats and sizes."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, group_norm, relu
from transformers import ResNetConfig, ResNetModel

from resp_agent.diagnoser.classifier import Batch
from resp_agent.diagnoser.inputs import Inputs
from resp_agent.diagnoser.systems import build
from resp_agent.diagnoser.systems.convolutional import Cnn6, RealNorm, ResNet18
from resp_agent.diagnoser.systems.images import AstBranch, HtsAtBranch, repeated
from resp_agent.errors import UserError
from resp_agent.settings import DiagnoserSettings, EncoderSettings

SETTINGS = DiagnoserSettings(width=64, layers=2, heads=4)
SYSTEMS = ("resnet", "cnn6", "ast", "clap")


def inputs(window: int, bands: int) -> Inputs:
    return Inputs(20.0, window, ("a", "b"), ("s",), (0.0,) * bands, (1.0,) * bands, (1, 1), ("[UNK]", "x"), 16)


def heard(frames: torch.Tensor, *lengths: int) -> Batch:
    rows = len(frames)
    return Batch(frames, torch.tensor(lengths), torch.zeros(rows, 1, dtype=torch.long), torch.zeros(rows).long())


def test_a_norm_is_group_norm_of_what_is_real():
    torch.manual_seed(0)
    norm, x = RealNorm(6), 3 * torch.randn(2, 6, 9, 5) + 1
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    real = torch.ones(2, 1, 9, 1)
    real[1, :, 4:] = 0
    normed = norm(x, real)
    for row, length in enumerate((9, 4)):
        alone = group_norm(x[row : row + 1, :, :length], 1, norm.weight, norm.bias)
        torch.testing.assert_close(normed[row : row + 1, :, :length], alone, atol=1e-5, rtol=1e-5)
    assert not normed[1, :, 4:].any()


@torch.no_grad()
def test_cnn6_is_its_published_layout_on_a_whole_row():
    torch.manual_seed(0)
    branch = Cnn6(SETTINGS, inputs(48, 32)).eval()
    assert [tuple(one.weight.shape) for one in branch.convolutions] == [
        (8, 1, 5, 5), (16, 8, 5, 5), (32, 16, 5, 5), (64, 32, 5, 5),
    ]  # fmt: skip
    x = torch.randn(2, 48, 32)
    y = x[:, None]
    for convolution, norm in zip(branch.convolutions, branch.norms, strict=True):
        y = avg_pool2d(relu(group_norm(convolution(y), 1, norm.weight, norm.bias)), 2)
    y = y.mean(dim=3)
    expected = relu(branch.hidden(y.mean(dim=2) + y.amax(dim=2)))
    torch.testing.assert_close(branch(heard(x, 48, 48)), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_resnet_is_that_of_transformers_with_other_norms():
    torch.manual_seed(0)
    branch = ResNet18(SETTINGS, inputs(64, 32)).eval()
    config = ResNetConfig(
        num_channels=1, embedding_size=8, hidden_sizes=[8, 16, 32, 64], depths=[2, 2, 2, 2], layer_type="basic"
    )
    reference = ResNetModel(config).eval()
    for name, module in list(reference.named_modules()):
        if isinstance(module, nn.BatchNorm2d):
            parent = reference.get_submodule(name.rpartition(".")[0])
            setattr(parent, name.rpartition(".")[2], nn.GroupNorm(1, module.num_features))
    ours = [*branch.first.parameters(), *branch.norm.parameters()]
    for block in branch.blocks:
        # The order in which `transformers` lists them.
        parts = (block.shortcut, block.shortcut_norm, block.first, block.first_norm, block.second, block.second_norm)
        ours += [parameter for part in parts if part is not None for parameter in part.parameters()]
    for parameter, other in zip(ours, reference.parameters(), strict=True):
        other.copy_(parameter)
    x = torch.randn(2, 64, 32)
    expected = reference(x[:, None]).pooler_output.flatten(1)
    torch.testing.assert_close(branch(heard(x, 64, 64)), expected, atol=1e-5, rtol=1e-4)


def test_a_short_recording_is_repeated_and_nothing_is_nothing():
    frames = torch.arange(10.0).reshape(2, 5, 1)
    filled = repeated(frames, torch.tensor([3, 0]), 7)
    assert filled[0, :, 0].tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert not filled[1].any()


@torch.no_grad()
@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize(("window", "bands"), [(33, 40), (70, 64), (260, 64)])
def test_every_frame_and_band_is_looked_at(system, window, bands):
    torch.manual_seed(0)
    model = build(replace(SETTINGS, system=system), inputs(window, bands)).eval()
    frames = torch.randn(1, window, bands)
    before = model.logits(heard(frames, window))
    for frame, band in ((0, 0), (window - 1, bands - 1)):
        changed = frames.clone()
        changed[:, frame, band] += 50
        assert not torch.allclose(model.logits(heard(changed, window)), before, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("window", "square"), [(64, 64), (65, 128), (256, 128), (257, 256), (1024, 256)])
def test_hts_at_folds_a_window_into_the_smallest_square_that_holds_it(window, square):
    config = HtsAtBranch(SETTINGS, inputs(window, 64)).model.config
    assert (config.spec_size, config.window_size) == (square, square // 32)


def test_published_sizes_are_the_published_models():
    settings = DiagnoserSettings(width=768, layers=12, heads=12)
    with torch.device("meta"):
        tower = HtsAtBranch(settings, inputs(1000, 64)).model.config
        transformer = AstBranch(settings, inputs(1024, 128)).model
    assert (tower.spec_size, tower.window_size, tower.patch_embeds_hidden_size) == (256, 8, 96)
    assert (tuple(tower.depths), tuple(tower.num_attention_heads)) == ((2, 2, 6, 2), (4, 8, 16, 32))
    # 1,212 patches and two summary tokens, and one more row and column of patches, so that nothing is left over.
    assert transformer.embeddings.position_embeddings.shape == (1, 13 * 102 + 2, 768)
    assert transformer.config.num_hidden_layers == 12


@pytest.mark.parametrize("system", SYSTEMS)
def test_features_of_an_encoder_are_no_image(system):
    settings = replace(SETTINGS, system=system, encoder=EncoderSettings("whisper", "none"))
    with pytest.raises(UserError, match=f"the system {system} looks at log-mel, not at features of whisper"):
        build(settings, inputs(50, 64))
