"""Settings of the generator and its parts."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from resp_agent.settings.checks import refuse, refuse_share, refuse_width
from resp_agent.settings.diagnoser import TrainingSettings


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
        refuse_width(self.width, self.heads)
        refuse(self.style_slots < 1, "a planner without style slots hears no reference: give at least 1")
        for name in ("drop_narrative", "drop_label", "keep_style", "opening_share"):
            refuse_share(name, getattr(self, name))
        refuse(self.temperature < 0, f"a temperature of {self.temperature} is below 0, which is greedy")
        refuse(not 0 < self.top_p <= 1, f"top_p {self.top_p} is outside 0 (excluded) to 1")


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
        refuse_width(self.width, self.heads)
        refuse(self.euler_steps < 1, "the solver needs at least 1 step")
        refuse(self.frames_per_token < 1 or self.components < 1, "a token holds at least 1 frame and 1 component")
        for name in ("drop_condition", "drop_label", "keep_style"):
            refuse_share(name, getattr(self, name))


@dataclass(frozen=True)
class GeneratorSettings:
    """Planner, flow and vocoder."""

    kind: Annotated[Literal["trained", "oracle", "style-transfer"], tyro.conf.arg(aliases=["--generator"])] = "trained"
    """`trained`: planner and flow; `style-transfer`: real clips, equalised to another style, no model;
    `oracle`: the simulator (embedded corpus only)."""
    content: Literal["planned", "exemplar"] = "exemplar"
    """Where a clip's units come from: a plan, or a real training recording of the label, rendered in another style.
    The planner is trained only where content is planned."""
    units: int = 192
    """Codebook size."""
    unit_components: int = 16
    """Principal directions of a patch in which units are told apart."""
    griffin_lim_iterations: int = 16
    """Of the vocoder."""
    planner: PlannerSettings = field(default_factory=PlannerSettings)
    flow: FlowSettings = field(default_factory=FlowSettings)

    def __post_init__(self):
        refuse(self.units < 2, f"a codebook of {self.units} units says nothing: give at least 2")
        refuse(self.unit_components < 1, "units are told apart in at least 1 direction")
        refuse(self.griffin_lim_iterations < 0, "the vocoder cannot iterate fewer than 0 times")
