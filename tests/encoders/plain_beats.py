"""BEATs from its description alone: NumPy, float64, loops over what the module batches."""

import math

import numpy as np
from scipy.special import erf, expit

from resp_agent.encoders.beats_model import BeatsSettings


def plain_tokens(
    state: dict[str, np.ndarray], settings: BeatsSettings, frames: np.ndarray, padding: np.ndarray | None = None
) -> np.ndarray:
    """(frames, 128) normalised filter bank and a state dict in the released layout to (S, D); padding (S,) bool."""
    state = {name: value.astype(np.float64) for name, value in state.items()}

    def linear(name: str, x: np.ndarray) -> np.ndarray:
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def norm(name: str, x: np.ndarray) -> np.ndarray:
        spread = np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        return (x - x.mean(-1, keepdims=True)) / spread * state[f"{name}.weight"] + state[f"{name}.bias"]

    size = settings.patch
    tokens = []
    for moment in range(len(frames) // size):
        for band in range(128 // size):
            patch = frames[moment * size : (moment + 1) * size, band * size : (band + 1) * size]
            tokens.append(np.einsum("tf,ctf->c", patch, state["patch_embedding.weight"][:, 0]))
    x = norm("layer_norm", np.array(tokens))
    if settings.patch_width != settings.width:
        x = linear("post_extract_proj", x)
    if padding is not None:
        x[padding] = 0
    x = norm("encoder.layer_norm", x + _position(state, settings, x))
    table = state["encoder.layers.0.self_attn.relative_attention_bias.weight"]
    scale = (2 * settings.layers) ** 0.25
    for index in range(settings.layers):
        layer = f"encoder.layers.{index}"
        q, k, v = (linear(f"{layer}.self_attn.{which}_proj", x) for which in "qkv")
        width = settings.width // settings.heads
        mixed = np.empty_like(x)
        for head in range(settings.heads):
            part = slice(head * width, (head + 1) * width)
            gate = linear(f"{layer}.self_attn.grep_linear", q[:, part]).reshape(-1, 2, 4).sum(2)
            a, b = expit(gate).T
            factor = a * (b * state[f"{layer}.self_attn.grep_a"][0, head, 0, 0] - 1) + 2
            for query in range(len(x)):
                bias = np.array([table[_bucket(key - query, settings), head] for key in range(len(x))])
                logits = k[:, part] @ q[query, part] / math.sqrt(width) + factor[query] * bias
                if padding is not None:
                    logits[padding] = -np.inf
                weights = np.exp(logits - logits.max())
                mixed[query, part] = weights / weights.sum() @ v[:, part]
        x = norm(f"{layer}.self_attn_layer_norm", x * scale + linear(f"{layer}.self_attn.out_proj", mixed))
        inner = linear(f"{layer}.fc2", _gelu(linear(f"{layer}.fc1", x)))
        x = norm(f"{layer}.final_layer_norm", x * scale + inner)
    return x


def _position(state: dict[str, np.ndarray], settings: BeatsSettings, x: np.ndarray) -> np.ndarray:
    direction, length = state["encoder.pos_conv.0.weight_v"], state["encoder.pos_conv.0.weight_g"]
    weight = np.empty_like(direction)
    for tap in range(settings.kernel):
        weight[:, :, tap] = direction[:, :, tap] / np.sqrt((direction[:, :, tap] ** 2).sum()) * length[0, 0, tap]
    padded = np.pad(x, ((settings.kernel // 2, settings.kernel // 2), (0, 0)))
    group = settings.width // settings.groups
    made = np.empty_like(x)
    for token in range(len(x)):
        for channel in range(settings.width):
            first = channel // group * group
            near = padded[token : token + settings.kernel, first : first + group]
            made[token, channel] = (near.T * weight[channel]).sum() + state["encoder.pos_conv.0.bias"][channel]
    return _gelu(made)


def _bucket(distance: int, settings: BeatsSettings) -> int:
    half = settings.buckets // 2
    exact, near = half // 2, abs(distance)
    if near >= exact:
        growth = math.log(near / exact) / math.log(settings.distance / exact)
        # A hair more, so that a power that is exact is not rounded below its bucket.
        near = min(half - 1, exact + int(growth * (half - exact) + 1e-6))
    return near + (half if distance > 0 else 0)


def _gelu(x: np.ndarray) -> np.ndarray:
    return x / 2 * (1 + erf(x / math.sqrt(2)))
