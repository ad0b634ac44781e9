"""What the environment says of a round beside observation and reward."""

from dataclasses import dataclass, field

from gymnasium import error

from resp_agent.curriculum.request import Receipt
from resp_agent.errors import UserError


class InvalidAction(UserError, error.InvalidAction):
    """An action is not in the action space."""


@dataclass(frozen=True)
class Seconds:
    """Time that a round took. It differs from run to run, so it takes no part in comparing what rounds gave."""

    synthesize: float = field(default=0.0, compare=False)
    """By the clock, seconds."""
    learn: float = field(default=0.0, compare=False)
    """By the clock, seconds; of a reset: to the first assessment."""
    work: float = field(default=0.0, compare=False)
    """Of synthesis, summed over workers, seconds."""


def plain_shards(receipt: Receipt) -> list[dict]:
    """Shards without what they cost, which differs from run to run."""
    return [
        {"path": shard.path, "clip_ids": list(shard.clip_ids), "seconds": shard.seconds} for shard in receipt.shards
    ]
