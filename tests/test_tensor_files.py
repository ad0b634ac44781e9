"""Checkpoints as plain tensors."""

import pytest
import torch
from torch import nn

from resp_agent.errors import UserError
from resp_agent.tensor_files import fill, named, read_plain, read_tensors, save_tensors, state_of


def test_filled_parameters_are_float32_copies(tmp_path):
    state = {"weight": torch.ones(2, 3, dtype=torch.bfloat16), "bias": torch.zeros(2)}
    with torch.device("meta"):
        layer = nn.Linear(3, 2)
    filled = fill(layer, state, tmp_path / "file", "layer")
    state["bias"] += 1
    assert filled is layer
    assert filled.bias.tolist() == [0, 0]
    assert {one.dtype for one in filled.parameters()} == {torch.float32}
    assert not filled.training
    assert not filled.weight.requires_grad


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"bias": None}, r"file is not a whole layer in the released layout: Missing key.*bias"),
        ({"more": torch.zeros(1)}, r"Unexpected key.*more"),
        ({"bias": torch.zeros(3)}, "size mismatch for bias"),
        ({"bias": torch.tensor([0.0, torch.nan])}, "file holds numbers that are not finite in bias"),
        ({"bias": torch.tensor([0.0, torch.inf])}, "not finite in bias"),
    ],
)
def test_what_does_not_fill_a_model_is_refused(tmp_path, change, sentence):
    state = {"weight": torch.ones(2, 3), "bias": torch.zeros(2)} | change
    state = {name: value for name, value in state.items() if value is not None}
    with pytest.raises(UserError, match=sentence):
        fill(nn.Linear(3, 2), state, tmp_path / "file", "layer")


def test_saved_tensors_are_read_with_their_settings(tmp_path):
    layer, file = nn.Linear(3, 2), tmp_path / "layer.safetensors"
    save_tensors(layer, "layer", {"width": 3}, file)
    settings, state = read_tensors(file, "layer")
    assert settings == {"width": 3}
    assert all(torch.equal(state[name], value) for name, value in layer.state_dict().items())
    with pytest.raises(UserError, match="does not tell the sizes of a flow"):
        read_tensors(file, "flow")
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(UserError, match="is not a layer that was imported"):
        read_tensors(file, "layer")
    with pytest.raises(UserError, match="is not a layer that was imported"):
        read_tensors(tmp_path / "absent", "layer")


@pytest.mark.parametrize(
    ("held", "sentence"),
    [(b"", "not a checkpoint of plain tensors"), (b"PK", "not a checkpoint of plain tensors"), (None, "is not there")],
)
def test_what_is_no_checkpoint_is_refused(tmp_path, held, sentence):
    if held is not None:
        (tmp_path / "file").write_bytes(held)
    with pytest.raises(UserError, match=sentence):
        read_plain(tmp_path / "file")


def test_parts_of_a_checkpoint_are_named_tensors(tmp_path):
    file = tmp_path / "file"
    torch.save([torch.zeros(1)], file)
    with pytest.raises(UserError, match="holds a list and not named tensors"):
        read_plain(file)
    torch.save({"model": {"a": torch.ones(1)}, "other": {"b": 1}}, file)
    held = read_plain(file)
    assert state_of(held, "model", file, "flow")["a"].item() == 1
    for part, sentence in (("absent", "file has no absent: it is not a released flow"), ("other", "holds a int as b")):
        with pytest.raises(UserError, match=sentence):
            state_of(held, part, file, "flow")


def test_what_is_refused_is_told_with_the_file(tmp_path):
    def refused():
        raise UserError("too wide")

    with pytest.raises(UserError, match="file cannot be used: too wide"):
        named(tmp_path / "file", refused)
    with pytest.raises(UserError, match=r"file cannot be used: .*unexpected keyword"):
        named(tmp_path / "file", lambda: nn.Identity.forward(depth=3))
    assert named(tmp_path / "file", lambda: 3) == 3
