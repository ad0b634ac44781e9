"""Sizes of the released planner: as its checkpoint tells them, or as its tensors show them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import torch

from resp_agent.errors import UserError
from resp_agent.settings.checks import refuse

if TYPE_CHECKING:
    from transformers import Qwen3Config

_OURS = ("feature_width", "style_width", "rope_theta")


@dataclass(frozen=True)
class ReleasedPlannerSettings:
    """Sizes of a Qwen3, under the names of transformers' `config.json`, and of its style projection.

    The defaults are Qwen3-0.6B-Base's.
    """

    vocab_size: int
    """Tokens, with those of audio."""
    feature_width: int
    """Width of the audio encoder's tokens."""
    style_width: int
    """Width within the style projection."""
    hidden_size: int = 1024
    """Width of a token."""
    intermediate_size: int = 3072
    """Width within a feed-forward block."""
    num_hidden_layers: int = 28
    """Layers."""
    num_attention_heads: int = 16
    """Heads of the queries."""
    num_key_value_heads: int = 8
    """Heads of keys and values; each serves as many queries' heads."""
    head_dim: int = 128
    """Width of a head."""
    max_position_embeddings: int = 32_768
    """Longest sequence in tokens."""
    rms_norm_eps: float = 1e-6
    """Of every normalisation."""
    rope_theta: float = 1e6
    """Base of the rates of the rotary positions."""
    tie_word_embeddings: bool = True
    """Whether logits come from the word table."""
    attention_bias: bool = False
    """Whether the projections of attention have biases."""

    def __post_init__(self):
        for each in fields(self):
            value = getattr(self, each.name)
            right = isinstance(value, (int, float) if each.type is float else each.type)
            # A truth value counts as a whole number in Python.
            right = right and isinstance(value, bool) == (each.type is bool)
            refuse(not right, f"{each.name} {value!r} of a planner is no {each.type.__name__}")
            refuse(each.type is not bool and value <= 0, f"{each.name} {value} of a planner is not above 0")
        queries, others = self.num_attention_heads, self.num_key_value_heads
        refuse(queries % others != 0, f"{queries} heads of queries do not divide into {others} of keys and values")
        refuse(self.head_dim % 2 != 0, f"heads are {self.head_dim} wide: rotary positions turn pairs of numbers")

    @classmethod
    def of(cls, config: Mapping[str, Any] | None, state: Mapping[str, torch.Tensor]) -> "ReleasedPlannerSettings":
        """From a released checkpoint.

        Args:
            config: its `config`, with the names of transformers' `config.json`, of any version; without one, sizes are
                those of the tensors and what they do not show is as in Qwen3-0.6B-Base.
            state: its tensors.

        Raises:
            UserError: it is no Qwen3, or one with something that is not built here.
        """
        shown = _shown(state)
        if config is None:
            return cls(**shown)
        for name, only in {"model_type": "qwen3", "hidden_act": "silu", "use_sliding_window": False}.items():
            told = config.get(name, only)
            refuse(told != only, f"its {name} is {told!r}, and only {only!r} is known here")
        names = {each.name for each in fields(cls)} - set(_OURS)
        told = {name: config[name] for name in names if config.get(name) is not None}
        return cls(**shown | told | _rotary(config))

    def qwen3(self) -> "Qwen3Config":
        """The same as transformers takes it."""
        from transformers import Qwen3Config

        told = {name: value for name, value in asdict(self).items() if name not in _OURS}
        rotary = {"rope_type": "default", "rope_theta": float(self.rope_theta)}
        return Qwen3Config(**told, rope_parameters=rotary, pad_token_id=None, bos_token_id=None, eos_token_id=None)


def _shown(state: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """What the shapes of the tensors tell."""
    first = "model.layers.0."
    try:
        words, head_width = state["model.embed_tokens.weight"], len(state[f"{first}self_attn.q_norm.weight"])
        queries, keys = (len(state[f"{first}self_attn.{name}_proj.weight"]) for name in ("q", "k"))
        style = state["style_proj.0.weight"]
        wide = len(state[f"{first}mlp.gate_proj.weight"])
    except KeyError as problem:
        raise UserError(f"it has no {problem.args[0]}: it is not a released planner") from None
    refuse(words.ndim != 2 or style.ndim != 2, "its word table or its style projection is no matrix")
    head = state.get("lm_head.weight")
    return {
        "vocab_size": words.shape[0],
        "feature_width": style.shape[1],
        "style_width": style.shape[0],
        "hidden_size": words.shape[1],
        "intermediate_size": wide,
        "num_hidden_layers": len({name.split(".")[2] for name in state if name.startswith("model.layers.")}),
        "num_attention_heads": queries // head_width,
        "num_key_value_heads": keys // head_width,
        "head_dim": head_width,
        "tie_word_embeddings": head is None or torch.equal(head, words),
        "attention_bias": f"{first}self_attn.q_proj.bias" in state,
    }


def _rotary(config: Mapping[str, Any]) -> dict[str, float]:
    """The base of rotary positions, which newer configurations hold among `rope_parameters`."""
    told = dict(config.get("rope_parameters") or {})
    kind = config.get("rope_scaling") or told.get("rope_type", "default")
    refuse(kind != "default", f"its rotary positions are scaled ({kind!r}), and none is scaled here")
    theta = told.get("rope_theta", config.get("rope_theta"))
    return {} if theta is None else {"rope_theta": theta}
