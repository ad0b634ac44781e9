"""Sizes and constants of the released flow, as its checkpoint tells them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import yaml

from resp_agent.errors import UserError
from resp_agent.settings.checks import refuse

_RELEASED = {
    "vocab_size": "units",
    "token_embedding_dim": "unit_width",
    "feature_dim": "feature_width",
    "hidden_dim": "width",
    "n_heads": "heads",
    "n_layers": "layers",
    "ff_mult": "widening",
    "max_pos_emb_len": "positions",
    "sigma": "noise",
    "n_timesteps": "points",
    "cfg_scale": "guidance",
    "mel_mean": "mel_mean",
    "mel_std": "mel_std",
}
"""What the released configuration calls our settings."""


@dataclass(frozen=True)
class ReleasedFlowSettings:
    """Sizes and constants of a flow in the released layout."""

    units: int
    """Units that have an embedding."""
    unit_width: int
    """Width of a unit's embedding."""
    feature_width: int
    """Width of the audio encoder's tokens."""
    width: int
    """Width of a frame within the model."""
    heads: int
    """Attention heads of a layer."""
    layers: int
    """Layers."""
    widening: int
    """A feed-forward layer is so many times as wide as a frame."""
    positions: int
    """Longest log-mel, in frames."""
    noise: float
    """Standard deviation of the noise from which the path starts."""
    points: int
    """Moments at which the solver stops, both ends counted."""
    guidance: float
    """Weight of the conditional velocity; 1 is no guidance."""
    mel_mean: float
    """Mean of log-mels, which is subtracted from them."""
    mel_std: float
    """Standard deviation of log-mels, by which they are then divided."""
    mels: int = 100
    """Mel bands."""

    def __post_init__(self):
        for each in fields(self):
            value = getattr(self, each.name)
            right = isinstance(value, int if each.type is int else (int, float)) and not isinstance(value, bool)
            refuse(not right, f"{each.name} {value!r} is no {'whole number' if each.type is int else 'number'}")
            refuse(each.type is int and value < 1, f"{each.name} {value} is below 1")
        refuse(self.width % self.heads != 0, f"a width of {self.width} does not divide into {self.heads} heads")
        refuse(self.width % 2 != 0, f"a width of {self.width} is odd: times are told in pairs of numbers")
        refuse(not self.mel_std > 0, f"a standard deviation of log-mels of {self.mel_std} is not above 0")

    @classmethod
    def of(cls, config: Mapping[str, Any] | str) -> "ReleasedFlowSettings":
        """From the `config_yaml` of a released checkpoint, as text or as what the text says.

        Raises:
            UserError: it is no YAML, or leaves a setting out.
        """
        try:
            told = yaml.safe_load(config) if isinstance(config, str) else config
            flow, mels = told["hyperparameters"]["flow"], told["vocos"]["mel"]["n_mels"]
            return cls(mels=mels, **{ours: flow[theirs] for theirs, ours in _RELEASED.items()})
        except (yaml.YAMLError, KeyError, TypeError) as problem:
            reason = f"does not tell {problem}" if isinstance(problem, KeyError) else f"cannot be read ({problem})"
            raise UserError(f"its config_yaml {' '.join(reason.split())}: give the released flow") from None
