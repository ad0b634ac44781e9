"""Settings of grounding."""

from dataclasses import dataclass, field

from resp_agent.settings.checks import refuse, refuse_share
from resp_agent.settings.diagnoser import TrainingSettings


@dataclass(frozen=True)
class GroundingSettings:
    """How relevance is learned from events. What hears and reads has the diagnoser's sizes."""

    silent_share: float = 0.25
    """Share of training examples drawn from all recordings; the others hold an event, each kind equally often."""
    mixed_share: float = 0.5
    """Share of training examples that are heard together with another recording, its events added, so that a sound is
    learned apart from the device and the breath that it came with. Log-mel only."""
    response_db: float = 4.5
    """Spread of the random response, smooth in frequency, that a training example is heard through. Log-mel only."""
    noise_share: float = 0.7
    """Share of training examples with noise added at about their own quietest level. Log-mel only."""
    training: TrainingSettings = field(default_factory=lambda: TrainingSettings(batch=24, schedule="linear"))
    """Each recording of a batch is asked for two sounds. There are no looks at validation."""

    def __post_init__(self):
        for name in ("silent_share", "mixed_share", "noise_share"):
            refuse_share(name, getattr(self, name))
        refuse(
            self.training.validate_every > 0,
            "a grounder is not looked at while it is trained: leave validate_every and patience at 0",
        )
        refuse(not self.response_db >= 0, f"a response spread of {self.response_db} dB is below 0: 0 is none")
