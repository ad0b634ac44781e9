"""`resp-agent import-weights` and `resp-agent verify`."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from jobs.weights import main_import, main_verify
from resp_agent.diagnoser.released_files import load_released
from resp_agent.encoders.beats import load_beats, load_tokenizer
from resp_agent.generator.released_flow import load_flow
from resp_agent.generator.released_planner_files import load_planner
from resp_agent.generator.vocos import load_vocos
from tests.diagnoser.released_layout import Sizes, make_release
from tests.generator.released_layout import FlowSizes, make_flow, make_vocos
from tests.generator.released_planner_layout import PlannerSizes, make_planner


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = make_release(tmp_path_factory.mktemp("release"), Sizes())
    return make_vocos(make_planner(make_flow(folder, FlowSizes()), PlannerSizes()))


@pytest.fixture
def release(made, tmp_path):
    """A made-up release that a test may spoil."""
    return shutil.copytree(made, tmp_path / "release")


def _change(file, **changes):
    held = load_file(file)
    for name, change in changes.items():
        held[name] = change(held[name])
    save_file(held, file)


def test_verifies_the_release(shared, capsys):
    assert main_verify([str(shared / "reference/released")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == [
        "fbank",
        "features",
        "features_padded",
        "features_padding_mask",
        "units",
        "attention_mask",
        "global_attention_mask",
        "logits",
        "prompt_embeds",
        "prompt_logits",
        "generated_ids",
        "velocity",
        "mel",
        "waveform",
    ]
    assert all("maximum difference" in line and "tolerance" in line and line.endswith(" ok") for line in lines)


def test_verifies_other_sizes_and_what_is_there(release, capsys):
    assert main_verify([str(release)]) == 0
    assert capsys.readouterr().out.count(" ok\n") == 14
    for file in ("flow.pt", "flow_expected.safetensors"):
        (release / file).unlink()
    assert main_verify([str(release)]) == 0
    said = capsys.readouterr().out
    assert said.count(" ok\n") == 12
    assert "flow" not in said


@pytest.mark.parametrize(
    ("file", "name", "change"),
    [
        ("diagnoser", "logits", lambda known: known + 2e-4),
        ("diagnoser", "logits", lambda known: known * torch.nan),
        ("diagnoser", "logits", lambda known: known[:, 1:]),
        ("diagnoser", "global_attention_mask", lambda known: known.roll(1, dims=1)),
        ("beats", "units", lambda known: (known + 1) % 11),
        ("beats", "features_padding_mask", lambda known: ~known.bool()),
        ("planner", "generated_ids", lambda known: known.clamp(max=known.max() - 1)),
        ("planner", "prompt_embeds", lambda known: known - 2e-3),
        ("planner", "prompt_logits", lambda known: known * torch.nan),
        ("flow", "velocity", lambda known: known + 1e-4),
        ("flow", "mel", lambda known: known.flip(0)),
        ("vocos", "waveform", lambda known: known.roll(1, dims=1)),
    ],
)
def test_one_miss_is_told_and_fails(release, capsys, file, name, change):
    _change(release / f"{file}_expected.safetensors", **{name: lambda known: change(known).contiguous()})
    assert main_verify([str(release)]) == 1
    missed = [line for line in capsys.readouterr().out.splitlines() if line.endswith("MISSED")]
    assert [line.split()[:2] for line in missed] == [[file, missed[0].split()[1]]]
    assert missed[0].split()[1].rstrip(",") == name


def test_whole_columns_of_padding_say_nothing(release):
    def wider(mask):
        return torch.nn.functional.pad(mask, (0, 5))

    _change(release / "diagnoser_expected.safetensors", attention_mask=wider, global_attention_mask=wider)
    assert main_verify([str(release), "--only", "diagnoser"]) == 0


@pytest.mark.parametrize(
    ("spoil", "flags", "sentence"),
    [
        (lambda folder: shutil.rmtree(folder), [], "is no folder"),
        (lambda folder: (folder / "diagnoser.pth").unlink(), [], "diagnoser.pth is missing"),
        (lambda folder: (folder / "diagnoser_expected.safetensors").unlink(), [], "without which diagnoser cannot"),
        (lambda folder: (folder / "beats_encoder.pt").unlink(), ["--only", "diagnoser"], "beats_encoder.pt is missing"),
        (lambda folder: (folder / "diagnoser.pth").write_bytes(b"no"), [], "not a checkpoint of plain tensors"),
        (lambda folder: (folder / "beats_encoder.pt").write_bytes(b"PK"), [], "not a checkpoint of plain tensors"),
        (lambda folder: (folder / "beats_expected.safetensors").write_bytes(b""), [], "cannot be read"),
        (lambda folder: (folder / "diagnoser_texts.json").write_text("[1]"), [], "is no list of texts"),
        (lambda folder: (folder / "diagnoser_texts.json").write_text('["a"]'), [], "1 texts for the 3 waveforms"),
        (lambda folder: (folder / "diagnoser_config.json").write_text("{"), [], "cannot be read"),
        (lambda folder: (folder / "planner.pth").write_bytes(b"no"), [], "not a checkpoint of plain tensors"),
        (lambda folder: (folder / "flow.pt").unlink(), [], "flow.pt is missing"),
        (lambda folder: shutil.rmtree(folder / "planner_tokenizer"), [], "planner_tokenizer is missing"),
        (lambda folder: None, ["--only", "beat"], "'beat' is no kind of checkpoint"),
        (lambda folder: [each.unlink() for each in folder.glob("*.*")], [], "holds nothing that can be verified"),
    ],
)
def test_what_cannot_be_verified_is_refused(release, capsys, spoil, flags, sentence):
    if sentence == "holds nothing that can be verified":
        for kind in ("diagnoser", "planner"):
            shutil.rmtree(release / f"{kind}_tokenizer")
    spoil(release)
    assert main_verify([str(release), *flags]) == 2
    assert sentence in capsys.readouterr().err


def test_imported_weights_give_the_same_numbers(release, tmp_path, capsys):
    out = tmp_path / "out"
    flags = ["--beats", "beats_encoder.pt", "--beats-tokenizer", "beats_tokenizer.pt", "--diagnoser", "diagnoser.pth"]
    flags += ["--planner", "planner.pth", "--flow", "flow.pt", "--vocos", "vocos.bin"]
    paths = [flag if flag.startswith("--") else str(release / flag) for flag in flags]
    assert main_import([*paths, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "a copy of layer 0's (2): encoder.layers.1." in said
    assert "the same as in model_state_dict (2): projection_layer_state_dict.weight" in said
    assert "the same as model.embed_tokens.weight (1): lm_head.weight" in said
    assert "vocos.bin, no part of the vocoder (1): feature_extractor.mel_spec.mel_scale.fb" in said

    table = json.loads((out / "imported.json").read_text())
    rows = {row["file"].rsplit("/", 1)[-1]: row for row in table}
    held = torch.load(release / "beats_tokenizer.pt", weights_only=True)["model"]
    assert rows["beats_tokenizer.pt"]["tensors"] == len(held)
    assert rows["beats_tokenizer.pt"]["parameters"] == sum(value.numel() for value in held.values())
    assert rows["beats_tokenizer.pt"]["ignored"]["quantize.cluster_size"].startswith("bookkeeping")
    assert {row["made"] for row in table} == {
        path.relative_to(out).as_posix() for path in out.rglob("*.*") if path.name != "imported.json"
    }

    expected = load_file(release / "beats_expected.safetensors")
    known = load_file(release / "diagnoser_expected.safetensors")
    texts = json.loads((release / "diagnoser_texts.json").read_text())
    with torch.inference_mode():
        encoder, model = load_beats(out), load_released(out / "diagnoser")
        assert torch.equal(encoder.features(expected["waveform"]), expected["features"])
        assert torch.equal(load_tokenizer(out).units(expected["waveform"]), expected["units"])
        logits = model.logits(encoder.features(model.clip(known["waveform"])), texts)
    torch.testing.assert_close(logits, known["logits"], atol=1e-5, rtol=0)


@torch.inference_mode()
def test_an_imported_generator_gives_the_same_bits(release, tmp_path):
    out = tmp_path / "out"
    flags = ["--planner", "planner.pth", "--flow", "flow.pt", "--vocos", "vocos.bin"]
    paths = [flag if flag.startswith("--") else str(release / flag) for flag in flags]
    assert main_import([*paths, "--out", str(out)]) == 0
    known = load_file(release / "planner_expected.safetensors")
    features = load_beats(release).features(known["waveform"])
    logits = [load_planner(folder).prompt_logits(features, ["Asthma"]) for folder in (release, out / "planner")]
    assert torch.equal(*logits)
    known = load_file(release / "flow_expected.safetensors")
    given = [known[name] for name in ("x0", "units", "style_features", "reference_mel")]
    assert torch.equal(*(load_flow(folder).mel(*given) for folder in (release, out)))
    log_mel = load_file(release / "vocos_expected.safetensors")["log_mel"]
    assert torch.equal(*(load_vocos(file)(log_mel) for file in (release / "vocos.bin", out / "vocos.safetensors")))


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ([], "nothing is given to import"),
        (["--beats", "absent.pt"], "absent.pt is not there"),
        (["--beats", "diagnoser.pth"], "not a released BEATs"),
        (["--beats", "beats_tokenizer.pt"], "an encoder is wanted"),
        (["--diagnoser", "beats_encoder.pt"], "has no model_state_dict"),
        (["--planner", "flow.pt"], "it has no model.embed_tokens.weight"),
        (["--planner", "planner.pth", "--planner-tokenizer", "absent"], "absent is not there"),
        (["--flow", "planner.pth"], "config_yaml cannot be read"),
        (["--flow", "flow_expected.safetensors"], "was imported before"),
        (["--vocos", "flow.pt"], "Vocos"),
        (["--vocos", "vocos_expected.safetensors"], "was imported before"),
        (["--beats", "beats_encoder.pt", "--flow", "absent.pt"], "absent.pt is not there"),
        (["--diagnoser", "diagnoser.pth", "--tokenizer", "absent"], "absent is not there"),
    ],
)
def test_what_cannot_be_imported_is_refused_and_nothing_written(made, tmp_path, capsys, monkeypatch, flags, sentence):
    monkeypatch.chdir(made)
    assert main_import([*flags, "--out", str(tmp_path / "out")]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").touch()
    assert main_import(["--beats", "beats_encoder.pt", "--out", str(tmp_path / "file")]) == 2
    assert "nothing can be written" in capsys.readouterr().err


def test_files_of_the_diagnoser_are_looked_for_beside_it(made, tmp_path, capsys):
    shutil.copy(made / "diagnoser.pth", tmp_path)
    assert main_import(["--diagnoser", str(tmp_path / "diagnoser.pth"), "--out", str(tmp_path / "out")]) == 2
    assert "no diagnoser_config.json or config.json beside" in capsys.readouterr().err
    shutil.copy(made / "diagnoser_config.json", tmp_path / "config.json")
    shutil.copytree(made / "diagnoser_tokenizer", tmp_path / "tokenizer")
    assert main_import(["--diagnoser", str(tmp_path / "diagnoser.pth"), "--out", str(tmp_path / "out")]) == 0
