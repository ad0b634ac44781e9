import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from resp_agent.errors import UserError
from resp_agent.generator.vocos import Vocos, VocosSizes, load_vocos, save_vocos

SMALL = VocosSizes(mels=12, width=16, inner=24, layers=2, fft=64, hop=16)


def made(sizes: VocosSizes = SMALL, seed: int = 0) -> Vocos:
    torch.manual_seed(seed)
    model = Vocos(sizes)
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, std=0.05 if "head" in name else 0.3)
    return model.eval()


def log_mel(sizes: VocosSizes = SMALL, frames: int = 20, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, sizes.mels, frames, generator=torch.Generator().manual_seed(1))


def slow(model: Vocos, mel: torch.Tensor) -> torch.Tensor:
    """Written out frame by frame, with the library's inverse transform."""
    state = dict(model.named_parameters())
    width = model.sizes.width

    def norm(x, name):
        mean, variance = x.mean(-1, keepdim=True), x.var(-1, unbiased=False, keepdim=True)
        return (x - mean) / (variance + 1e-6).sqrt() * state[f"{name}.weight"] + state[f"{name}.bias"]

    def convolve(x, name, groups):
        weight, padded = state[f"{name}.weight"], torch.nn.functional.pad(x, (3, 3))
        frames = []
        for t in range(x.shape[-1]):
            window = padded[..., t : t + 7]
            if groups == 1:
                frames.append(torch.einsum("bct,dct->bd", window, weight))
            else:
                frames.append((window * weight[:, 0]).sum(-1))
        return torch.stack(frames, -1) + state[f"{name}.bias"][:, None]

    x = norm(convolve(mel, "backbone.embed", 1).transpose(1, 2), "backbone.norm")
    for layer in range(model.sizes.layers):
        name = f"backbone.convnext.{layer}"
        h = norm(convolve(x.transpose(1, 2), f"{name}.dwconv", width).transpose(1, 2), f"{name}.norm")
        h = h @ state[f"{name}.pwconv1.weight"].T + state[f"{name}.pwconv1.bias"]
        h = 0.5 * h * (1 + torch.erf(h / 2**0.5))
        h = h @ state[f"{name}.pwconv2.weight"].T + state[f"{name}.pwconv2.bias"]
        x = x + state[f"{name}.gamma"] * h
    out = norm(x, "backbone.final_layer_norm") @ state["head.out.weight"].T + state["head.out.bias"]
    bins = model.sizes.fft // 2 + 1
    magnitude, phase = out[..., :bins].exp().clamp(max=100), out[..., bins:]
    spectrum = (magnitude * (phase.cos() + 1j * phase.sin())).transpose(1, 2)
    return torch.istft(spectrum, model.sizes.fft, model.sizes.hop, window=torch.hann_window(model.sizes.fft))


@torch.inference_mode()
def test_reproduces_the_reference(shared):
    folder = shared / "reference" / "released"
    expected = load_file(folder / "vocos_expected.safetensors")
    waveform = load_vocos(folder / "vocos.bin")(expected["log_mel"])
    assert waveform.shape == expected["waveform"].shape
    assert float((waveform - expected["waveform"]).abs().max()) < 1e-5


@torch.inference_mode()
@pytest.mark.parametrize(
    "sizes",
    [SMALL, VocosSizes(8, 24, 40, 3, 128, 32), VocosSizes(16, 8, 12, 1, 40, 10), VocosSizes(5, 16, 16, 4, 96, 48)],
)
def test_equals_the_slow_plain_version(sizes):
    model, mel = made(sizes), log_mel(sizes, 17)
    np.testing.assert_allclose(model(mel), slow(model, mel), atol=2e-5)


@torch.inference_mode()
@pytest.mark.parametrize("frames", [1, 2, 50])
def test_same_edges_put_frames_on_the_middle_of_their_hops(frames):
    """A spectrum of windowed frames that lie so is turned back into the signal, but for its ends."""
    sizes = VocosSizes(4, 8, 8, 1, 64, 16, "same")
    model = made(sizes)
    assert model(log_mel(sizes, frames)).shape == (2, frames * 16)
    signal = torch.randn(1, frames * 16, generator=torch.Generator().manual_seed(3))
    padded = torch.nn.functional.pad(signal, (24, 64))
    window = torch.hann_window(64)
    cut = torch.stack([padded[:, 16 * t : 16 * t + 64] * window for t in range(frames)], -1)
    back = model.head.istft(torch.fft.rfft(cut, dim=1))
    np.testing.assert_allclose(back[:, 24:-24], signal[:, 24:-24], atol=1e-5)


@torch.inference_mode()
def test_a_clip_does_not_depend_on_its_neighbours():
    model, mel = made(), log_mel(batch=3)
    np.testing.assert_allclose(model(mel)[1:2], model(mel[1:2]), atol=1e-5)


def test_gradients_reach_every_parameter():
    model = made()
    model(log_mel()).square().mean().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())


@torch.inference_mode()
@pytest.mark.parametrize("edges", ["centre", "same"])
def test_saved_and_loaded_again(tmp_path, edges):
    model = made(VocosSizes(12, 16, 24, 2, 64, 16, edges))
    save_vocos(model, tmp_path / "vocos.safetensors")
    read = load_vocos(tmp_path / "vocos.safetensors")
    assert read.sizes == model.sizes
    assert torch.equal(read(log_mel()), model(log_mel()))


@torch.inference_mode()
def test_public_weights_of_other_sizes(tmp_path):
    """What the input was made with is in the public file and is no part of the model."""
    model = made(VocosSizes(8, 24, 40, 3, 128, 32))
    extra = {"feature_extractor.mel_spec.spectrogram.window": torch.ones(128)}
    torch.save(dict(model.state_dict()) | extra, tmp_path / "pytorch_model.bin")
    read = load_vocos(tmp_path / "pytorch_model.bin")
    assert read.sizes == model.sizes
    assert torch.equal(read(log_mel(model.sizes)), model(log_mel(model.sizes)))


def spoiled(state: dict, how: str) -> dict:
    name = "backbone.convnext.1.pwconv2.weight"
    match how:
        case "missing":
            del state[name]
        case "extra":
            state["backbone.other"] = torch.zeros(2)
        case "shape":
            state[name] = state[name][:, :-1]
        case "none":
            state[name] = state[name] * torch.nan
        case "another model":
            state = {"weight": torch.zeros(3)}
    return state


@pytest.mark.parametrize("how", ["missing", "extra", "shape", "none", "another model"])
def test_what_is_not_wholly_a_vocos_is_refused(tmp_path, how):
    file = tmp_path / "vocos.bin"
    torch.save(spoiled(dict(made().state_dict()), how), file)
    with pytest.raises(UserError, match=r"vocos\.bin"):
        load_vocos(file)


def test_log_mels_that_it_cannot_take_are_refused():
    with pytest.raises(UserError, match="13 bands"):
        made()(torch.zeros(1, 13, 5))
    with pytest.raises(UserError, match="1 frames"):
        made()(torch.zeros(1, 12, 1))


@pytest.mark.parametrize("changes", [{"hop": 33}, {"fft": 63}, {"layers": 0}, {"fft": 64, "hop": 15, "edges": "same"}])
def test_impossible_sizes_are_refused(changes):
    with pytest.raises(UserError):
        VocosSizes(**{**vars(SMALL), **changes})
