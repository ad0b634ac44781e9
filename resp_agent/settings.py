"""Settings as frozen dataclasses, and the presets that fill them.

Whatever changes a result is in `Settings`; where it runs is in `Placement` and changes nothing but the time.
"""

import dataclasses
import json
import types
import typing
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Annotated, Any, Literal

import tyro

from resp_agent.errors import UserError
from resp_agent.randomness import digest


def _refuse(condition: bool, sentence: str) -> None:
    if condition:
        raise UserError(sentence)


def _refuse_share(name: str, value: float) -> None:
    _refuse(not 0 <= value <= 1, f"{name} is a share: {value} is outside 0 to 1")


def _refuse_width(width: int, heads: int) -> None:
    # Rotary positions turn pairs of numbers in each head.
    _refuse(width % (2 * heads) != 0, f"a width of {width} does not divide into {heads} heads of even width")


@dataclass(frozen=True)
class SimulationSettings:
    """Sizes of the embedded corpus. What it sounds like is fixed by its version."""

    train_counts: tuple[int, ...] = (200, 120, 60, 36, 20, 16, 12, 8)
    """Training recordings for each of its eight labels, most common first."""
    valid_per_cell: int = 4
    """Validation recordings for each label and device."""
    test_per_cell: int = 10
    """Test recordings for each label and device."""
    duration_s: float = 3.0
    """Seconds of each recording, 1 to 60."""

    def __post_init__(self):
        _refuse(
            len(self.train_counts) != 8,
            f"the embedded corpus has 8 labels: give 8 train counts, not {len(self.train_counts)}",
        )
        _refuse(
            min(self.train_counts) < 1,
            "a label with no training recording cannot be learned: give every label a train count of at least 1",
        )
        _refuse(
            self.valid_per_cell < 1 or self.test_per_cell < 1,
            "validation and test need at least 1 recording for each label and device",
        )
        _refuse(not 1 <= self.duration_s <= 60, f"a duration of {self.duration_s} s is outside 1 to 60 s")


@dataclass(frozen=True)
class AudioSettings:
    """Log-mel patches, shared by diagnoser and generator."""

    mels: int = 64
    """Mel bands."""
    low_hz: float = 40.0
    """Lower edge of the lowest band."""
    high_hz: float = 4500.0
    """Upper edge of the highest band, at most 8000."""
    window_ms: float = 40.0
    """Analysis window."""
    hop_ms: float = 20.0
    """Distance of frames; one patch is one hop."""
    clip_s: float = 3.0
    """Seconds of audio that a model sees at once; longer recordings are covered by several windows."""

    def __post_init__(self):
        _refuse(
            not 0 < self.low_hz < self.high_hz <= 8000,
            f"mel bands from {self.low_hz} to {self.high_hz} Hz: keep 0 < low < high <= 8000",
        )
        _refuse(
            self.window_ms < self.hop_ms, f"a window of {self.window_ms} ms is shorter than its hop of {self.hop_ms} ms"
        )
        _refuse(not 0.5 <= self.clip_s <= 60, f"a clip of {self.clip_s} s is outside 0.5 to 60 s")

    @property
    def frames(self) -> int:
        """Patches in a clip."""
        return round(self.clip_s * 1000 / self.hop_ms)


@dataclass(frozen=True)
class TrainingSettings:
    """How a model is trained: the same loop for all of them."""

    steps: int = 300
    """Optimizer steps."""
    batch: int = 32
    """Recordings in a step, over all ranks and accumulated micro-batches."""
    learning_rate: float = 2e-3
    """Peak rate of AdamW."""
    warmup: int = 20
    """Steps of linear warm-up."""
    weight_decay: float = 0.01
    """Of AdamW."""
    averaging: float = 0.97
    """Decay of the moving average of weights, 0 to 1 (1 excluded)."""
    clipping: float = 1.0
    """Largest gradient norm."""
    accumulation: int = 1
    """Micro-batches in a step."""
    zero_stage: int = 0
    """DeepSpeed ZeRO stage, 0 to 3."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of the forward and backward pass; masters are fp32."""
    checkpoint_every: int = 100
    """Steps between checkpoints; a killed training loses fewer."""

    def __post_init__(self):
        _refuse(self.steps < 1 or self.batch < 1, "training needs at least 1 step and a batch of at least 1")
        _refuse(
            self.batch % self.accumulation != 0,
            f"a batch of {self.batch} does not divide into {self.accumulation} micro-batches",
        )
        _refuse(
            not self.learning_rate > 0, f"a learning rate of {self.learning_rate} teaches nothing: give one above 0"
        )
        _refuse(not 0 <= self.averaging < 1, f"averaging {self.averaging} is outside 0 to 1")
        _refuse(self.zero_stage not in range(4), f"ZeRO stage {self.zero_stage} is none of 0, 1, 2, 3")
        _refuse(self.checkpoint_every < 1, "checkpoint_every counts steps: give at least 1")


@dataclass(frozen=True)
class DiagnoserSettings:
    """The weaving diagnoser."""

    width: int = 64
    """Width of a token."""
    layers: int = 2
    """Transformer layers."""
    heads: int = 4
    """Attention heads."""
    token_ms: float = 40.0
    """Distance of audio tokens; a multiple of the hop."""
    window_ms: float = 400.0
    """Reach of window attention, both sides together."""
    anchor_ms: float = 80.0
    """Distance of audio anchors (tokens with global attention); a multiple of token_ms."""
    text_tokens: int = 128
    """Longest narrative, in tokens."""
    drop_text: float = 0.5
    """Share of training examples that lose their narrative."""
    drop_audio: float = 0.05
    """Share of training examples that lose their audio."""
    training: TrainingSettings = field(default_factory=TrainingSettings)
    """The first training."""

    def __post_init__(self):
        _refuse(self.width % self.heads != 0, f"a width of {self.width} does not divide into {self.heads} heads")
        _refuse(
            self.anchor_ms % self.token_ms != 0,
            f"anchors every {self.anchor_ms} ms do not fall on tokens every {self.token_ms} ms",
        )
        _refuse(self.drop_text + self.drop_audio > 1, "drop_text and drop_audio together exceed 1")


@dataclass(frozen=True)
class PlannerSettings:
    """The language model that writes units."""

    width: int = 96
    layers: int = 2
    heads: int = 4
    style_slots: int = 4
    """Pooled style vectors put before the units."""
    narrative_words: int = 256
    """Words of the training narratives that it knows, the most frequent ones."""
    drop_narrative: float = 0.5
    """Share of training examples that lose their narrative, 0 to 1."""
    drop_label: float = 0.1
    """Share of training examples whose label is not told, 0 to 1, for guidance."""
    guidance: float = 2.0
    """How far units are pulled to the label: 1 is not at all, above 1 costs twice the time."""
    keep_style: float = 0.9
    """Share of training examples whose units come from the recording as it is, not from a copy in another style."""
    opening_share: float = 0.0
    """Share of a plan, from its start, taken from a real recording of the label; the planner goes on from there."""
    temperature: float = 1.0
    """Of sampling; below 1 it narrows."""
    top_p: float = 1.0
    """Smallest set of units whose probabilities reach this."""
    training: TrainingSettings = field(default_factory=lambda: TrainingSettings(steps=400, batch=16, averaging=0.99))

    def __post_init__(self):
        _refuse_width(self.width, self.heads)
        _refuse(self.style_slots < 1, "a planner without style slots hears no reference: give at least 1")
        for name in ("drop_narrative", "drop_label", "keep_style", "opening_share"):
            _refuse_share(name, getattr(self, name))
        _refuse(self.temperature < 0, f"a temperature of {self.temperature} is below 0, which is greedy")
        _refuse(not 0 < self.top_p <= 1, f"top_p {self.top_p} is outside 0 (excluded) to 1")


@dataclass(frozen=True)
class FlowSettings:
    """The flow-matching decoder from units and style to log-mel."""

    width: int = 128
    layers: int = 3
    heads: int = 4
    euler_steps: int = 8
    """Steps of the solver."""
    guidance: float = 1.0
    """Classifier-free guidance; 1 is none."""
    drop_condition: float = 0.1
    """Share of training examples that lose units and style, for guidance."""
    drop_label: float = 0.5
    """Share of training examples whose label is not told, 0 to 1; at 1 the decoder never learns of labels."""
    frames_per_token: int = 2
    """Neighbouring frames that the decoder renders as one token; units keep the distance of frames."""
    components: int = 32
    """Principal coordinates of a token; what they leave out is drawn as noise."""
    keep_style: float = 0.15
    """Share of training examples whose units come from the recording as it is; the others are first made to sound
    like another style."""
    training: TrainingSettings = field(default_factory=lambda: TrainingSettings(steps=600, batch=16, averaging=0.99))

    def __post_init__(self):
        _refuse_width(self.width, self.heads)
        _refuse(self.euler_steps < 1, "the solver needs at least 1 step")
        _refuse(self.frames_per_token < 1 or self.components < 1, "a token holds at least 1 frame and 1 component")
        for name in ("drop_condition", "drop_label", "keep_style"):
            _refuse_share(name, getattr(self, name))


@dataclass(frozen=True)
class GeneratorSettings:
    """Planner, flow and vocoder."""

    kind: Annotated[Literal["trained", "oracle", "style-transfer"], tyro.conf.arg(aliases=["--generator"])] = "trained"
    """`trained`: planner and flow; `style-transfer`: real clips, equalised to another style, no model;
    `oracle`: the simulator (embedded corpus only)."""
    content: Literal["planned", "exemplar"] = "planned"
    """Where a clip's units come from: a plan, or a real recording of the label."""
    units: int = 192
    """Codebook size."""
    unit_components: int = 16
    """Principal directions of a patch in which units are told apart."""
    griffin_lim_iterations: int = 16
    """Of the vocoder."""
    planner: PlannerSettings = field(default_factory=PlannerSettings)
    flow: FlowSettings = field(default_factory=FlowSettings)

    def __post_init__(self):
        _refuse(self.units < 2, f"a codebook of {self.units} units says nothing: give at least 2")
        _refuse(self.unit_components < 1, "units are told apart in at least 1 direction")
        _refuse(self.griffin_lim_iterations < 0, "the vocoder cannot iterate fewer than 0 times")


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

    def __post_init__(self):
        _refuse(
            self.budget < 1,
            f"a budget of {self.budget} clips leaves nothing to synthesize: "
            "give at least 1, or use --policy none for a run without synthesis",
        )
        _refuse(
            self.rounds < 1 or self.requests_per_round < 1 or self.steps_per_round < 1,
            "rounds, requests per round and steps per round are at least 1",
        )
        _refuse(
            not self.learning_rate > 0, f"a learning rate of {self.learning_rate} teaches nothing: give one above 0"
        )
        _refuse(not 0 < self.synthetic_share < 1, f"a synthetic share of {self.synthetic_share} is outside 0 to 1")
        _refuse(
            self.hardness_levels != 1,
            "hardness needs a generator that can be guided, which this version has not: keep hardness_levels at 1",
        )


@dataclass(frozen=True)
class Settings:
    """Everything that changes a result. Saved with it, and compared on resuming."""

    preset: str = "tiny"
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
        _refuse(self.threads < 1, f"{self.threads} threads cannot compute: give at least 1")
        _refuse(
            self.diagnoser.token_ms % self.audio.hop_ms != 0,
            f"tokens every {self.diagnoser.token_ms} ms do not fall on patches every {self.audio.hop_ms} ms",
        )
        _refuse(
            self.generator.kind == "oracle" and self.corpus != "embedded",
            "the oracle generator is the simulator of the embedded corpus: "
            f"it cannot make clips for {self.corpus!r}; use trained or style-transfer",
        )


@dataclass(frozen=True)
class Placement:
    """Where a run happens. Changes its time, not its result (with more than one diagnoser worker: losses to 1e-4)."""

    lab: Literal["ray", "local"] = "ray"
    """`ray`: actors on a cluster or a local Ray that starts by itself; `local`: all in this process."""
    generators: int = 2
    """Generator workers."""
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
    """A run whose actors cannot be placed within this says which resource is short, and stops."""

    def __post_init__(self):
        _refuse(
            self.generators < 1 or self.diagnoser_workers < 1,
            "a run needs at least one generator worker and one diagnoser worker",
        )


def tiny() -> Settings:
    """The whole loop on two CPU cores in minutes."""
    return Settings()


def smoke() -> Settings:
    """The smallest loop in which every part works: for checks of code, not of learning."""
    short = TrainingSettings(steps=6, batch=8, warmup=2, checkpoint_every=3)
    return Settings(
        preset="smoke",
        simulation=SimulationSettings(
            train_counts=(10, 6, 4, 4, 3, 3, 3, 3), valid_per_cell=1, test_per_cell=1, duration_s=1.0
        ),
        audio=AudioSettings(clip_s=1.0),
        diagnoser=DiagnoserSettings(width=32, layers=1, training=short),
        generator=GeneratorSettings(
            units=16,
            griffin_lim_iterations=2,
            planner=PlannerSettings(width=32, layers=1, training=short),
            flow=FlowSettings(width=32, layers=1, euler_steps=2, training=short),
        ),
        curriculum=CurriculumSettings(budget=12, rounds=3, requests_per_round=2, steps_per_round=3),
    )


PRESETS = {"tiny": tiny, "smoke": smoke}


def preset(name: str) -> Settings:
    """The settings of a preset.

    Raises:
        UserError: no preset has that name.
    """
    if name not in PRESETS:
        raise UserError(f"there is no preset {name!r}: choose one of {', '.join(PRESETS)}")
    return PRESETS[name]()


def fingerprint(*parts: Any) -> str:
    """A content name of settings and plain values: equal if and only if they are."""
    plain = [asdict(part) if is_dataclass(part) else part for part in parts]
    return digest(json.dumps(plain, sort_keys=True), size=8)


def to_plain(settings: Any) -> dict:
    """Settings as plain data, for YAML or JSON."""
    return json.loads(json.dumps(asdict(settings)))


def from_plain(data: dict, base: Any = None) -> Any:
    """Settings from plain data: `data["preset"]` (or `base`) gives what is not named.

    Raises:
        UserError: a name is not a setting, or a value is not of its type.
    """
    if base is None:
        base = preset(data.get("preset", "tiny"))
    known = {entry.name: entry for entry in fields(base)}
    hints = typing.get_type_hints(type(base))
    changes = {}
    for name, value in data.items():
        if name not in known:
            raise UserError(f"{type(base).__name__} has no setting {name!r}: it has {', '.join(known)}")
        current = getattr(base, name)
        if is_dataclass(current):
            if not isinstance(value, dict):
                raise UserError(f"setting {name!r} is a group: give its members, not {value!r}")
            changes[name] = from_plain(value, current)
        else:
            changes[name] = _typed(name, value, hints[name])
    return dataclasses.replace(base, **changes)


def _typed(name: str, value: Any, hint: Any) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        ok = value in args
    elif origin is tuple:
        ok = isinstance(value, (list, tuple))
        value = tuple(value) if ok else value
    elif origin is types.UnionType:
        ok = True
    elif hint is float:
        ok = isinstance(value, (int, float)) and not isinstance(value, bool)
        value = float(value) if ok else value
    elif hint is int:
        ok = isinstance(value, int) and not isinstance(value, bool)
    else:
        ok = isinstance(value, hint)
    if not ok:
        raise UserError(f"setting {name!r} cannot be {value!r}: it is {hint}")
    return value
