"""Settings of the loop, of a whole run, and of where it happens."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from resp_agent.settings.audio import AudioSettings, SimulationSettings
from resp_agent.settings.checks import refuse
from resp_agent.settings.diagnoser import DiagnoserSettings
from resp_agent.settings.generator import GeneratorSettings


@dataclass(frozen=True)
class CurriculumSettings:
    """The loop: what a policy may spend and how the diagnoser learns from it."""

    budget: Annotated[int, tyro.conf.arg(aliases=["--budget"])] = 320
    """Clips that may be synthesized."""
    rounds: int = 8
    """Steps of the environment."""
    requests_per_round: int = 8
    """Cells that an action names."""
    steps_per_round: int = 40
    """Optimizer steps of the diagnoser in a round."""
    learning_rate: float = 1e-3
    """Of those steps."""
    synthetic_share: float = 0.5
    """Share of a batch drawn from synthetic clips, once there are any."""
    reward: Literal["macro-f1", "soft-macro-f1"] = "macro-f1"
    """Score on validation whose gain is the reward."""
    hardness_levels: int = 1
    """Levels of hardness that an action may choose; 1 is none."""
    target_score: float = 1.0
    """The episode ends when the validation score reaches this."""
    refresh_every: int = 0
    """Rounds between refreshes of the generator, which trains on where the diagnoser is weak; 0: never."""
    refresh_steps: int = 100
    """Optimizer steps of each part of the generator in a refresh."""

    def __post_init__(self):
        refuse(
            self.budget < 1,
            f"a budget of {self.budget} clips leaves nothing to synthesize: "
            "give at least 1, or use --policy none for a run without synthesis",
        )
        refuse(
            self.rounds < 1 or self.requests_per_round < 1 or self.steps_per_round < 1,
            "rounds, requests per round and steps per round are at least 1",
        )
        refuse(not self.learning_rate > 0, f"a learning rate of {self.learning_rate} teaches nothing: give one above 0")
        refuse(not 0 < self.synthetic_share < 1, f"a synthetic share of {self.synthetic_share} is outside 0 to 1")
        refuse(self.hardness_levels < 1, f"{self.hardness_levels} levels of hardness leave none to choose: 1 is none")
        refuse(self.refresh_every < 0, f"a refresh every {self.refresh_every} rounds cannot be: 0 is never")
        refuse(self.refresh_steps < 1, f"a refresh of {self.refresh_steps} steps teaches nothing: give at least 1")


@dataclass(frozen=True)
class Settings:
    """Everything that changes a result. Saved with it, and compared on resuming."""

    preset: str = "tiny"
    """What gives every setting that no flag names: `tiny` (minutes on a laptop), `small` (pretrained weights that fit
    one), `paper` (the published sizes, for GPUs) or `smoke` (seconds, to check code)."""
    corpus: str = "embedded"
    """`embedded`, a corpus directory, or raw sources as `icbhi=<path>,sprsound=<path>`."""
    seed: int = 0
    """Corpus (if embedded), training and synthesis are drawn from it."""
    threads: int = 1
    """Threads of every worker; results depend on it in the last digits."""
    simulation: SimulationSettings = field(default_factory=SimulationSettings)
    audio: AudioSettings = field(default_factory=AudioSettings)
    diagnoser: DiagnoserSettings = field(default_factory=DiagnoserSettings)
    generator: GeneratorSettings = field(default_factory=GeneratorSettings)
    curriculum: CurriculumSettings = field(default_factory=CurriculumSettings)

    def __post_init__(self):
        refuse(self.threads < 1, f"{self.threads} threads cannot compute: give at least 1")
        frame_ms = self.diagnoser.encoder.frame_ms(self.audio.hop_ms)
        refuse(
            self.diagnoser.token_ms % frame_ms != 0,
            f"tokens every {self.diagnoser.token_ms:g} ms do not fall on frames every {frame_ms:g} ms: give "
            f"--diagnoser.token-ms a multiple of {frame_ms:g}",
        )
        refuse(
            self.generator.kind == "oracle" and self.corpus != "embedded",
            "the oracle generator is the simulator of the embedded corpus: "
            f"it cannot make clips for {self.corpus!r}; use trained or style-transfer",
        )
        refuse(
            self.generator.kind != "trained" and self.curriculum.refresh_every > 0,
            f"the generator {self.generator.kind} learns nothing, so it cannot be refreshed: give "
            "--curriculum.refresh-every 0, or the trained one",
        )


@dataclass(frozen=True)
class Placement:
    """Where a run happens. Changes its time, not its result (with more than one diagnoser worker: losses to 1e-4)."""

    lab: Literal["ray", "local"] = "ray"
    """`ray`: actors on a cluster or a local Ray that starts by itself; `local`: all in this process."""
    generators: int = 2
    """Generator workers, at most: as many as find a place, and no more than a round has requests."""
    diagnoser_workers: int = 1
    """Ranks of the diagnoser's gang."""
    generator_cpus: float = 0.5
    """CPUs reserved for a generator worker. Threads are set apart, by `threads`."""
    diagnoser_cpus: float = 0.5
    """CPUs reserved for a rank of the diagnoser."""
    generator_gpus: float = 0.0
    """GPUs reserved for a generator worker."""
    diagnoser_gpus: float = 0.0
    """GPUs reserved for a rank of the diagnoser."""
    placement_timeout_s: float = 120.0
    """A run without a place for one generator worker and all ranks of the diagnoser within this says which resource is
    short, and stops."""

    def __post_init__(self):
        refuse(
            self.generators < 1 or self.diagnoser_workers < 1,
            "a run needs at least one generator worker and one diagnoser worker",
        )
