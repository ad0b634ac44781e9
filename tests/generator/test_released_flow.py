"""The released flow's layout, against the release's outputs and a slow plain version."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from resp_agent.errors import UserError
from resp_agent.generator.released_flow import load_flow, save_flow
from resp_agent.generator.solver import midpoint
from tests.generator.released_layout import FlowSizes, make_flow


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return make_flow(tmp_path_factory.mktemp("flow"), FlowSizes())


def _given(folder):
    expected = load_file(folder / "flow_expected.safetensors")
    return expected, [expected[name] for name in ("units", "style_features", "reference_mel")]


@torch.inference_mode()
def _agree(folder, tolerance):
    flow = load_flow(folder / "flow.pt")
    expected, given = _given(folder)
    velocity = flow.velocity(expected["x_t"], expected["t"], *given)
    torch.testing.assert_close(velocity, expected["velocity"], atol=tolerance, rtol=0)
    torch.testing.assert_close(flow.mel(expected["x0"], *given), expected["mel"], atol=tolerance, rtol=0)


def test_reproduces_the_release(shared):
    _agree(shared / "reference/released", 3e-5)


@pytest.mark.parametrize(
    "sizes",
    [
        FlowSizes(),
        FlowSizes(width=16, heads=1, layers=1, widening=4, mels=5, frames=8, heard=30, text=False, seed=2),
        FlowSizes(width=10, heads=5, layers=3, units=3, unit_width=2, feature_width=4, guidance=1.0, points=2, seed=3),
        FlowSizes(frames=40, heard=40, guidance=0.0, points=12, seed=4),
    ],
    ids=["units stretched", "units squeezed", "no guidance", "as long as positions reach"],
)
def test_other_sizes_are_those_of_the_plain_version(tmp_path, sizes):
    _agree(make_flow(tmp_path, sizes), 2e-4 if sizes.points > 10 else 3e-5)


def test_both_velocities_of_a_step_come_from_one_batch(release, monkeypatch):
    flow = load_flow(release)
    expected, given = _given(release)
    batches = []
    heard = flow.blocks[0].forward
    monkeypatch.setattr(flow.blocks[0], "forward", lambda x, time: batches.append(len(x)) or heard(x, time))
    flow.mel(expected["x0"], *given, points=4)
    assert batches == [4, 4, 4]
    batches.clear()
    flow.mel(expected["x0"], *given, points=4, guidance=1.0)
    assert batches == [2, 2, 2]


@torch.inference_mode()
def test_a_clip_is_the_same_in_any_batch(release):
    flow = load_flow(release)
    expected, given = _given(release)
    alone = flow.mel(expected["x0"][1:], *(one[1:] for one in given))
    torch.testing.assert_close(alone[0], expected["mel"][1], atol=3e-5, rtol=0)


@torch.inference_mode()
def test_midpoint_comes_closer_to_the_exact_answer_in_as_many_evaluations(release):
    flow = load_flow(release).double()
    expected, given = _given(release)
    given = [one.double() if one.is_floating_point() else one for one in given]
    x0 = expected["x0"].double()
    exact = flow.mel(x0, *given, points=600, solver=midpoint)
    long, short = flow.mel(x0, *given, points=41), flow.mel(x0, *given, points=21, solver=midpoint)
    assert (short - exact).norm() < 0.3 * (long - exact).norm()


def test_saved_and_loaded_it_gives_the_same_bits(release, tmp_path):
    flow = load_flow(release)
    save_flow(flow, tmp_path / "flow.safetensors")
    again = load_flow(tmp_path)
    assert again.settings == flow.settings
    assert (again.settings.mel_mean, again.settings.mel_std, again.settings.noise) == (-5.5, 2, 0.5)
    expected, given = _given(release)
    assert torch.equal(again.mel(expected["x0"], *given), flow.mel(expected["x0"], *given))
    assert torch.equal(flow.denormalised(torch.tensor([0.0, 1.0])), torch.tensor([-5.5, -3.5]))
    (tmp_path / "flow.safetensors").write_bytes((release / "flow_expected.safetensors").read_bytes())
    with pytest.raises(UserError, match="does not tell the sizes of a flow: import"):
        load_flow(tmp_path)


def test_more_frames_than_positions_are_refused(tmp_path):
    sizes = FlowSizes()
    flow = load_flow(make_flow(tmp_path, sizes))
    expected, given = _given(make_flow(tmp_path / "longer", replace(sizes, positions=60, frames=41)))
    with pytest.raises(UserError, match="41 frames are more than the 40"):
        flow.mel(expected["x0"], *given)


def _config(**changes):
    def change(held):
        held["config_yaml"]["hyperparameters"]["flow"] |= changes

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda held: held["model_state_dict"].pop("time_embed.0.bias"), r"Missing key.*time_embed\.0\.bias"),
        (lambda held: held["model_state_dict"].update({"extra": torch.zeros(1)}), r"Unexpected key.*extra"),
        (lambda held: held["model_state_dict"].update({"pos_emb": torch.zeros(4, 12)}), r"size mismatch for pos_emb"),
        (lambda held: held["model_state_dict"]["pos_emb"].fill_(torch.nan), r"not finite in pos_emb"),
        (lambda held: held["model_state_dict"].update({"pos_emb": [1.0]}), r"holds a list as pos_emb"),
        (lambda held: held.pop("model_state_dict"), "has no model_state_dict"),
        (lambda held: held.pop("config_yaml"), "config_yaml cannot be read"),
        (lambda held: held.update(config_yaml="{"), "config_yaml cannot be read"),
        (lambda held: held.update(config_yaml="!!python/object/apply:os.getcwd []"), "config_yaml cannot be read"),
        (lambda held: held["config_yaml"].pop("vocos"), "does not tell 'vocos'"),
        (_config(n_layers=3), r"Missing key.*blocks\.2"),
        (_config(n_heads=5), "a width of 12 does not divide into 5 heads"),
        (_config(n_heads="3"), "heads '3' is no whole number"),
        (_config(hidden_dim=0), "width 0 is below 1"),
        (_config(mel_std=0.0), "standard deviation of log-mels of 0.0 is not above 0"),
        (_config(cfg_scale=None), "guidance None is no number"),
    ],
)
def test_what_is_not_whole_is_refused(tmp_path, change, sentence):
    make_flow(tmp_path, FlowSizes(text=False))
    held = torch.load(tmp_path / "flow.pt", weights_only=True)
    change(held)
    torch.save(held, tmp_path / "flow.pt")
    with pytest.raises(UserError, match=sentence) as problem:
        load_flow(tmp_path)
    assert str(problem.value).startswith(str(tmp_path / "flow.pt"))


def test_code_in_a_checkpoint_is_never_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    torch.save({"config_yaml": Evil(), "model_state_dict": {}}, tmp_path / "flow.pt")
    with pytest.raises(UserError, match="not a checkpoint of plain tensors"):
        load_flow(tmp_path)
    assert not (tmp_path / "ran").exists()
    with pytest.raises(UserError, match="is not there"):
        load_flow(tmp_path / "absent.pt")
