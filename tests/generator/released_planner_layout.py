"""Made-up planners in the released layout, of any size, with the outputs of transformers' own Qwen3 for them."""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import nn
from transformers import Qwen3Config, Qwen3ForCausalLM

from resp_agent.encoders.beats import load_beats
from resp_agent.generator.released_planner import DIAGNOSIS, END, MASK, PADDING, SLOTS, UNIT


@dataclass(frozen=True)
class PlannerSizes:
    """What differs from one planner to the next."""

    units: int = 13
    feature_width: int = 16
    style_width: int = 10
    width: int = 24
    widening: int = 32
    layers: int = 2
    heads: int = 4
    key_heads: int = 2
    head_width: int = 6
    theta: float = 5_000.0
    eps: float = 1e-5
    biased: bool = False
    tied: bool = True
    config: str = "new"
    """`new`, `old` (the names of transformers 4), `none`."""
    audio_tokens: bool = True
    """Whether the tokenizer has them, or they are to be added."""
    surrounded: bool = True
    """Whether the tokenizer puts `<s>` and `</s>` around a text."""
    samples: int = 9_000
    new_tokens: int = 25
    seed: int = 1


def make_planner(folder: Path, sizes: PlannerSizes) -> Path:
    """`planner.pth`, `planner_tokenizer/` and `planner_expected.safetensors` in a folder that has a BEATs encoder."""
    draw = torch.Generator().manual_seed(sizes.seed)
    tokenizer = _tokenizer(folder, sizes)
    config = Qwen3Config(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=sizes.width,
        intermediate_size=sizes.widening,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        num_key_value_heads=sizes.key_heads,
        head_dim=sizes.head_width,
        max_position_embeddings=256,
        rms_norm_eps=sizes.eps,
        rope_parameters={"rope_type": "default", "rope_theta": sizes.theta},
        tie_word_embeddings=sizes.tied,
        attention_bias=sizes.biased,
    )
    model = Qwen3ForCausalLM(config).eval()
    model.style_proj = nn.Sequential(
        nn.Linear(sizes.feature_width, sizes.style_width), nn.GELU(), nn.Linear(sizes.style_width, sizes.width)
    )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(("norm" in name) + 0.2 * torch.randn(parameter.shape, generator=draw))
    held = {"model_state_dict": model.state_dict()}
    if sizes.config != "none":
        held["config"] = config.to_dict()
    if sizes.config == "old":
        held["config"] |= {"rope_theta": held["config"].pop("rope_parameters")["rope_theta"], "rope_scaling": None}
    torch.save(held, folder / "planner.pth")
    waveform = 0.1 * torch.randn(1, sizes.samples, generator=draw)
    with torch.inference_mode():
        features = load_beats(folder / "beats_encoder.pt").features(waveform)
        outputs = plain_planner(model, tokenizer, features, sizes.new_tokens)
    save_file({"waveform": waveform} | outputs, folder / "planner_expected.safetensors")
    return folder


def plain_planner(
    model: Qwen3ForCausalLM, tokenizer: Tokenizer, features: torch.Tensor, new_tokens: int, disease: str = "Asthma"
) -> dict[str, torch.Tensor]:
    """What the page on the release says, with transformers' own model and decoding."""
    ids = tokenizer.encode(f"[DIAGNOSIS] {disease} {' '.join(SLOTS)}").ids
    embeds = model.get_input_embeddings()(torch.tensor([ids])).clone()
    pooled = nn.AdaptiveAvgPool1d(8)(features.transpose(1, 2)).transpose(1, 2)
    for slot, name in enumerate(SLOTS):
        embeds[0, ids.index(tokenizer.token_to_id(name))] = model.style_proj(pooled)[0, slot]
    written = model.generate(
        inputs_embeds=embeds,
        do_sample=False,
        max_new_tokens=new_tokens,
        eos_token_id=tokenizer.token_to_id(END),
        pad_token_id=tokenizer.token_to_id(PADDING),
    )
    return {"prompt_embeds": embeds, "prompt_logits": model(inputs_embeds=embeds).logits, "generated_ids": written}


def _tokenizer(folder: Path, sizes: PlannerSizes) -> Tokenizer:
    """Of single bytes; kept in the folder with the tokens of audio, or without, and returned with them."""
    names = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={name: place for place, name in enumerate(names)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if sizes.surrounded:
        tokenizer.add_special_tokens(["<s>", "</s>"])
        ends = [(name, tokenizer.token_to_id(name)) for name in ("<s>", "</s>")]
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    bare = tokenizer.to_str()
    units = [UNIT.format(unit) for unit in range(sizes.units)]
    tokenizer.add_special_tokens([DIAGNOSIS, END, MASK, PADDING, *SLOTS, *units])
    (folder / "planner_tokenizer").mkdir()
    (folder / "planner_tokenizer/tokenizer.json").write_text(tokenizer.to_str() if sizes.audio_tokens else bare)
    return tokenizer
