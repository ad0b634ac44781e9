"""Made-up releases of any size, with the outputs that transformers' own Longformer gives for them."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LongformerConfig, LongformerForSequenceClassification

from resp_agent.encoders.beats import Beats, BeatsSettings, BeatsTokenizer, load_beats, load_tokenizer
from resp_agent.encoders.beats_model import hear
from tests.encoders.test_beats import released_state

TEXTS = ["A cough at night.", "", "Wheeze heard over both lungs at end expiration, history of asthma."]


@dataclass(frozen=True)
class Sizes:
    """What differs from one release to the next."""

    width: int = 24
    heads: int = 3
    windows: tuple[int, ...] = (8, 16, 8)
    slots: int = 20
    stride: int = 3
    text_tokens: int = 30
    classes: int = 5
    clips: int = 3
    samples: int = 9_000
    seed: int = 1


BEATS = BeatsSettings(
    patch_width=12, width=16, feedforward=24, heads=2, layers=3, kernel=6, groups=4, buckets=16, distance=30
)
UNITS = BeatsSettings(**vars(BEATS) | {"units": 11, "unit_width": 6})


def make_release(folder: Path, sizes: Sizes) -> Path:
    """A folder laid out like the release, for BEATs and the diagnoser."""
    generator = torch.Generator().manual_seed(sizes.seed)
    make_beats(folder, sizes.seed, generator)
    tokenizer = Tokenizer(models.BPE(vocab={name: place for place, name in enumerate(_names())}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>"])
    (folder / "diagnoser_tokenizer").mkdir()
    tokenizer.save(str(folder / "diagnoser_tokenizer/tokenizer.json"))
    own = tokenizer.get_vocab_size()
    config = LongformerConfig(
        vocab_size=own + 1 + sizes.slots,
        hidden_size=sizes.width,
        num_attention_heads=sizes.heads,
        num_hidden_layers=len(sizes.windows),
        attention_window=list(sizes.windows),
        intermediate_size=2 * sizes.width,
        max_position_embeddings=sizes.slots + sizes.text_tokens + 40,
        num_labels=sizes.classes,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    model = LongformerForSequenceClassification(config).eval()
    model.projection_layer = torch.nn.Linear(BEATS.width, sizes.width)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    told = {"audio_global_stride": sizes.stride, "max_text_tokens": sizes.text_tokens}
    client = {
        "label_mapping": {label: f"class {label}" for label in range(sizes.classes)},
        "config_yaml": {"hyperparameters": {"longformer": told}},
    }
    state, projection = model.state_dict(), model.projection_layer.state_dict()
    torch.save(
        {"model_state_dict": state, "projection_layer_state_dict": projection, "client_state": client},
        folder / "diagnoser.pth",
    )
    (folder / "diagnoser_config.json").write_text(json.dumps(config.to_dict()))
    texts = [TEXTS[clip % len(TEXTS)] for clip in range(sizes.clips)]
    (folder / "diagnoser_texts.json").write_text(json.dumps(texts))
    waveform = 0.1 * torch.randn(sizes.clips, sizes.samples, generator=generator)
    features = load_beats(folder / "beats_encoder.pt").features(
        torch.nn.functional.pad(waveform, (0, 160_000 - sizes.samples))
    )
    outputs = plain_outputs(model, tokenizer, features, texts, sizes, own)
    save_file({"waveform": waveform, **outputs}, folder / "diagnoser_expected.safetensors")
    return folder


@torch.inference_mode()
def plain_outputs(
    model: LongformerForSequenceClassification,
    tokenizer: Tokenizer,
    features: torch.Tensor,
    texts: list[str],
    sizes: Sizes,
    own: int,
) -> dict[str, torch.Tensor]:
    """What the page on the release says, row by row."""
    begin, end = tokenizer.token_to_id("<s>"), tokenizer.token_to_id("</s>")
    rows, logits = [], []
    for text, heard in zip(texts, features, strict=True):
        told = tokenizer.encode(text, add_special_tokens=False).ids[: sizes.text_tokens]
        spare = len(heard) - sizes.slots
        if spare > 0:
            heard = heard[spare // 2 : spare // 2 + sizes.slots]
        else:
            heard = torch.cat([heard, torch.zeros(-spare, heard.shape[1])])
        words = model.longformer.embeddings.word_embeddings
        embedded = torch.cat(
            [words(torch.tensor([begin, own, *told])), model.projection_layer(heard), words(torch.tensor([end]))]
        )
        is_global = torch.zeros(len(embedded), dtype=torch.long)
        is_global[[0, 1]] = 1
        is_global[2 + len(told) : -1 : sizes.stride] = 1
        rows.append(is_global)
        logits.append(model(inputs_embeds=embedded[None], global_attention_mask=is_global[None]).logits[0])
    return {
        "attention_mask": torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], batch_first=True),
        "global_attention_mask": torch.nn.utils.rnn.pad_sequence(rows, batch_first=True),
        "logits": torch.stack(logits),
    }


@torch.inference_mode()
def make_beats(folder: Path, seed: int, generator: torch.Generator | None = None) -> None:
    """The part of a release that is BEATs: encoder, tokenizer and their outputs."""
    generator = generator or torch.Generator().manual_seed(seed)
    names = {"patch": "input_patch_size", "patch_width": "embed_dim", "width": "encoder_embed_dim"}
    names |= {"feedforward": "encoder_ffn_embed_dim", "heads": "encoder_attention_heads", "layers": "encoder_layers"}
    names |= {"kernel": "conv_pos", "groups": "conv_pos_groups", "buckets": "num_buckets", "distance": "max_distance"}
    names |= {"units": "quant_n", "unit_width": "quant_dim"}
    for file, settings, kind in (("encoder", BEATS, Beats), ("tokenizer", UNITS, BeatsTokenizer)):
        told = {theirs: getattr(settings, ours) for ours, theirs in names.items()}
        told |= {"deep_norm": True, "relative_position_embedding": True, "gru_rel_pos": True, "activation_fn": "gelu"}
        state = released_state(BEATS, seed)
        if kind is BeatsTokenizer:
            fresh = kind(settings).state_dict()
            state |= {name: value for name, value in fresh.items() if name.startswith("quantize")}
            state["quantize.cluster_size"] = torch.zeros(settings.units)
        else:
            told = {name: value for name, value in told.items() if not name.startswith("quant")}
        torch.save({"cfg": told, "model": state}, folder / f"beats_{file}.pt")
    waveform = 0.1 * torch.randn(2, 12_000, generator=generator)
    mask = torch.arange(12_000)[None].expand(2, -1) >= torch.tensor([[12_000], [7_000]])
    encoder, tokenizer = load_beats(folder / "beats_encoder.pt"), load_tokenizer(folder / "beats_tokenizer.pt")
    outputs = {
        "fbank": hear(waveform),
        "features": encoder.features(waveform),
        "features_padded": encoder.features(waveform, mask),
        "features_padding_mask": encoder.token_padding(mask),
        "units": tokenizer.units(waveform),
    }
    held = {"waveform": waveform, "padding_mask": mask, **outputs}
    save_file({name: value.contiguous() for name, value in held.items()}, folder / "beats_expected.safetensors")


def _names() -> list[str]:
    return sorted(pre_tokenizers.ByteLevel.alphabet())
