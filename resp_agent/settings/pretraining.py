"""Settings of contrastive pretraining."""

from dataclasses import dataclass, field

from resp_agent.settings.checks import refuse
from resp_agent.settings.diagnoser import TrainingSettings


@dataclass(frozen=True)
class PretrainingSettings:
    """How a stem learns, without labels, to tell recordings apart: two crops of one belong together."""

    splits: tuple[str, ...] = ("train", "none")
    """Splits of the corpus that it hears; `none` holds what nobody diagnosed and sources without a role."""
    crop_s: float = 1.5
    """Seconds of a crop; a recording that is shorter is taken whole."""
    temperature: float = 0.1
    """What similarities are divided by."""
    response_db: float = 12.0
    """Largest gain or loss of the smooth frequency response that each log-mel crop is given, like another device's."""
    noise: float = 0.3
    """Largest standard deviation of the noise that is added to a crop, in standard deviations of its frames."""
    training: TrainingSettings = field(default_factory=lambda: TrainingSettings(steps=400, batch=48, averaging=0.98))

    def __post_init__(self):
        refuse(not self.splits, "pretraining hears nothing without splits: name train, valid or none")
        refuse("test" in self.splits, "the test split is for scores alone: pretrain on others of train, valid and none")
        refuse(not self.crop_s > 0, f"a crop of {self.crop_s} s holds no sound: give seconds above 0")
        refuse(not self.temperature > 0, f"a temperature of {self.temperature} cannot divide: give one above 0")
        refuse(
            self.response_db < 0 or self.noise < 0,
            f"a response of {self.response_db} dB and noise of {self.noise} are sizes: give 0 or more",
        )
        refuse(
            self.training.batch // self.training.accumulation < 2,
            "telling recordings apart takes at least 2 of them in a micro-batch",
        )
