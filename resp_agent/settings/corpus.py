"""Settings of a corpus build: what passes, which source is for what, who writes the narratives."""

from dataclasses import dataclass, field
from typing import Literal

from resp_agent.settings.checks import refuse, refuse_share

Role = Literal["train", "test", "none"]


@dataclass(frozen=True)
class QualitySettings:
    """What a recording must be to be built; whatever is not goes to quarantine with its reason."""

    shortest_s: float = 0.5
    """Recordings below this many seconds hold no breath."""
    longest_s: float = 900.0
    """Recordings above this many seconds are no auscultation of one site."""
    lowest_rate_hz: int = 2_000
    """Below this even the lung's low sounds (to about 1 kHz) are lost."""
    highest_rate_hz: int = 192_000
    """The highest rate of audio interfaces."""
    most_channels: int = 8
    """More channels than any recorder of the field has."""
    silent_db: float = -80.0
    """Level about its mean, in dB of full scale, below which a recording is silent: three steps of 16-bit audio."""
    mostly_clipped: float = 0.5
    """Share of clipped samples from which a recording is refused; a sine driven 3 dB over full scale has it."""

    def __post_init__(self):
        refuse(
            not 0.05 <= self.shortest_s < self.longest_s,
            f"durations from {self.shortest_s} to {self.longest_s} s let nothing pass: keep 0.05 <= shortest < longest",
        )
        refuse(
            not 0 < self.lowest_rate_hz < self.highest_rate_hz,
            f"sample rates from {self.lowest_rate_hz} to {self.highest_rate_hz} Hz let nothing pass: keep 0 < lowest < "
            "highest",
        )
        refuse(self.most_channels < 1, f"{self.most_channels} channels let nothing pass: give at least 1")
        refuse_share("--quality.mostly-clipped", self.mostly_clipped)


@dataclass(frozen=True)
class DecodingSettings:
    """The process that decodes: what it may use before it is killed and its file quarantined."""

    time_limit_s: float = 4.0
    """Seconds for one file."""
    memory_limit_mb: int = 1_024
    """Memory for one file, over what the decoder needs at rest."""

    def __post_init__(self):
        refuse(not 0 < self.time_limit_s <= 3_600, f"a time limit of {self.time_limit_s} s is outside 0 to 3600 s")
        refuse(self.memory_limit_mb < 64, f"a memory limit of {self.memory_limit_mb} MB is below the least, 64 MB")


@dataclass(frozen=True)
class NarrativeSettings:
    """Who writes narratives. What a model writes is checked against its record, and the template stands by."""

    writer: Literal["template", "transformers", "endpoint"] = "template"
    """`template`; `transformers`: a chat model from a folder or the hub; `endpoint`: an OpenAI-compatible server at
    OPENAI_BASE_URL, with the key in OPENAI_API_KEY where it needs one."""
    model: str | None = None
    """Folder or name of the model that writes."""
    batch: int = 16
    """Records that are written at once."""
    new_tokens: int = 128
    """Most tokens of a narrative."""
    temperature: float = 0.7
    """Of sampling; 0 takes the likeliest word."""
    timeout_s: float = 60.0
    """Seconds that an endpoint may take for an answer."""

    def __post_init__(self):
        refuse(
            self.writer != "template" and not self.model,
            f"narratives by {self.writer} need a model: name one with --narrative.model",
        )
        refuse(
            self.batch < 1 or self.new_tokens < 1 or self.temperature < 0 or not self.timeout_s > 0,
            "narratives need a batch and new tokens of at least 1, a temperature of at least 0 and a time-out above 0",
        )


@dataclass(frozen=True)
class CorpusSettings:
    """Everything that changes a built corpus but the files."""

    seed: int = 0
    """Splits and styles are drawn from it."""
    roles: tuple[str, ...] = ()
    """Roles other than those of the sources themselves, as `<source>=train`, `=test` or `=none`. `train` is divided
    into train and valid (and test, where no source is for the test); recordings of a source without a role are kept in
    split `none`, for pretraining."""
    valid_share: float = 0.2
    """Share of each label's recordings for validation, of the sources to train on."""
    test_share: float = 0.2
    """Share for the test split, where no source is for the test."""
    quality: QualitySettings = field(default_factory=QualitySettings)
    decoding: DecodingSettings = field(default_factory=DecodingSettings)
    narrative: NarrativeSettings = field(default_factory=NarrativeSettings)

    def __post_init__(self):
        for entry in self.roles:
            source, _, role = entry.partition("=")
            refuse(
                not source or role not in ("train", "test", "none"),
                f"role {entry!r} is not understood: write <source>=train, <source>=test or <source>=none",
            )
        refuse(
            not (self.valid_share >= 0 and self.test_share >= 0 and self.valid_share + self.test_share < 1),
            f"shares {self.valid_share} for validation and {self.test_share} for the test leave nothing to train on",
        )
