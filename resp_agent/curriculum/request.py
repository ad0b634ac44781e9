"""What a curriculum asks for and what it gets: requests and receipts."""

import math
from dataclasses import asdict, dataclass

from resp_agent.corpus.schema import SAMPLE_RATE_HZ
from resp_agent.randomness import digest
from resp_agent.settings import AudioSettings

CONTENTS = ("planned", "exemplar")
SHORTEST_S, LONGEST_S = 0.5, 60.0
"""Of a clip, in seconds."""


@dataclass(frozen=True)
class Request:
    """`count` clips of a label in a style. One worker makes it whole: batches depend on no worker count."""

    label: str
    style: str
    count: int
    seed: int
    """Draws of the request come from here; set by the Lab from (run seed, round, request)."""
    content: str = "planned"
    """`planned`: a plan written by the planner; `exemplar`: the content of a real recording of the label."""
    hardness: float = 0.0
    """0 to 1: how strongly sampling is pulled to where the diagnoser is unsure."""
    duration_s: float | None = None
    """Seconds of each clip, 0.5 to 60; None: the settings' clip length."""
    diagnoser: str | None = None
    """With hardness: digest of the weights of the diagnoser that is to be unsure; set by the Lab."""

    def __post_init__(self):
        if self.count < 1:
            raise ValueError(f"a request asks for at least one clip, this one for {self.count}")
        if self.content not in CONTENTS:
            raise ValueError(f"content {self.content!r} is none of {', '.join(CONTENTS)}")
        if not 0 <= self.hardness <= 1:
            raise ValueError(f"hardness {self.hardness} is outside 0 to 1")
        if self.duration_s is not None and not SHORTEST_S <= self.duration_s <= LONGEST_S:
            raise ValueError(f"a duration of {self.duration_s:g} s is outside {SHORTEST_S:g} to {LONGEST_S:g} s")

    def seconds(self, audio: AudioSettings) -> float:
        """Seconds of each clip."""
        return audio.clip_s if self.duration_s is None else self.duration_s

    def frames(self, audio: AudioSettings) -> int:
        """Frames that cover each clip."""
        return math.ceil(round(self.seconds(audio) * 1000 / audio.hop_ms, 6))

    def samples(self, audio: AudioSettings) -> int:
        """Samples of each clip."""
        return round(self.seconds(audio) * SAMPLE_RATE_HZ)

    def name(self, generator: str) -> str:
        """Content name of what a generator (by fingerprint) makes of this request."""
        return digest("request", *asdict(self).values(), generator)

    def clip_id(self, generator: str, index: int) -> str:
        """Id of the clip at `index`: a hash of request, index and generator."""
        return digest("clip", self.name(generator), index)


@dataclass(frozen=True)
class Shard:
    """Where a request's clips lie, and what they are: all that travels to the driver."""

    path: str
    clip_ids: tuple[str, ...]
    seconds: float
    """Seconds of audio."""
    cost_s: float
    """Seconds of work it took."""


@dataclass(frozen=True)
class Receipt:
    """What a round's requests came to. No audio."""

    shards: tuple[Shard, ...] = ()

    @property
    def clip_ids(self) -> tuple[str, ...]:
        """Ids of all clips, in the order of the requests."""
        return tuple(clip for shard in self.shards for clip in shard.clip_ids)

    @property
    def seconds(self) -> float:
        """Seconds of audio."""
        return sum(shard.seconds for shard in self.shards)

    @property
    def cost_s(self) -> float:
        """Seconds of work, summed over workers."""
        return sum(shard.cost_s for shard in self.shards)
