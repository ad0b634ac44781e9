"""Settings of the generator and its parts."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from resp_agent.settings.checks import refuse, refuse_share, refuse_width
from resp_agent.settings.diagnoser import TrainingSettings
from resp_agent.settings.vocoder import VocoderSettings


@dataclass(frozen=True)
class PlannerSettings:
    """The language model that writes units."""

    model: str | None = None
    """Folder or hub name of a pretrained causal language model; by default a small one with random weights, of the
    width, layers and heads given here."""
    adapter_rank: int = 0
    """Of a pretrained model: rank of low-rank adapters (LoRA), all else of it being frozen; 0 trains all of it."""
    adapter_alpha: float = 16.0
    """What adapters are multiplied by is this over their rank."""
    narrative_tokens: int = 64
    """Of a pretrained model: tokens of a narrative that it reads."""
    mask_prefix: float = 0.0
    """Of a pretrained model: share of training examples, 0 to 1, of which a beginning of drawn length is masked and
    bears no loss, so that what comes later is learned from the prompt and not from the beginning alone."""
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
        refuse(self.adapter_rank < 0, f"an adapter of rank {self.adapter_rank} cannot be: 0 trains all weights")
        refuse(self.adapter_alpha <= 0, f"adapters of an alpha of {self.adapter_alpha} say nothing: give one above 0")
        refuse(self.narrative_tokens < 0, f"{self.narrative_tokens} tokens of a narrative cannot be read: 0 are none")
        refuse(
            self.model is None and (self.adapter_rank > 0 or self.mask_prefix > 0),
            "adapters and masked prefixes are for a pretrained planner: give --generator.planner.model",
        )
        for name in ("drop_narrative", "drop_label", "keep_style", "opening_share", "mask_prefix"):
            refuse_share(name, getattr(self, name))
        refuse(self.temperature < 0, f"a temperature of {self.temperature} is below 0, which is greedy")
        refuse(not 0 < self.top_p <= 1, f"top_p {self.top_p} is outside 0 (excluded) to 1")


@dataclass(frozen=True)
class FlowSettings:
    """The flow from a draft, a content put on a style, to log-mel."""

    width: int = 128
    layers: int = 3
    heads: int = 4
    solver: Literal["euler", "midpoint", "adams-bashforth"] = "euler"
    """Midpoint takes two evaluations a step and is more exact; Adams-Bashforth is too, and takes one."""
    solver_steps: int = 4
    """Steps of the solver."""
    warp: bool = False
    """Whether steps are small at first, 1 - cos(pi t / 2) as in the paper, or all alike."""
    equalised: float = 0.5
    """Share of a draft, 0 to 1, that is the recording equalised to the style band by band; the rest is its content
    without noise, put on the style under the reference's conditions."""
    noise: float = 0.0
    """Standard deviation of the noise that is added to a draft before the flow begins, in that of a token."""
    guidance: float = 1.0
    """Classifier-free guidance; 1 is none."""
    drop_condition: float = 0.1
    """Share of training examples that lose the style, for guidance."""
    frames_per_token: int = 2
    """Neighbouring frames that the decoder renders as one token; units keep the distance of frames."""
    components: int = 48
    """Principal coordinates of a token; what they leave out stays the draft's."""
    keep_style: float = 0.15
    """Share of training examples whose content is known from the recording as it is; the others are first made to
    sound like another style."""
    from_units: float = 0.25
    """Share of training examples of whose content only the units are known, as of a planned one; only where content
    is planned."""
    pull: float = 1.0
    """How far a clip of hardness 1 is pulled to where the diagnoser is unsure, in standard deviations of a token."""
    training: TrainingSettings = field(default_factory=lambda: TrainingSettings(steps=600, batch=16, averaging=0.99))

    def __post_init__(self):
        refuse_width(self.width, self.heads)
        refuse(self.solver_steps < 1, "the solver needs at least 1 step")
        refuse(self.frames_per_token < 1 or self.components < 1, "a token holds at least 1 frame and 1 component")
        refuse(self.noise < 0, f"noise of {self.noise} standard deviations is below 0: 0 is none")
        for name in ("equalised", "drop_condition", "keep_style", "from_units"):
            refuse_share(name, getattr(self, name))


@dataclass(frozen=True)
class CompositionSettings:
    """How the content of a real recording is varied. What is real is kept: events as they were heard."""

    shift: bool = True
    """Whether a content starts anywhere; one that is too short goes round."""
    transplant: float = 0.0
    """Share of contents with events that get the breathing of a healthy recording between them. Varies most, and
    loses some of what a label sounds like."""
    event_gain_db: float = 1.3
    """Standard deviation of the loudness that events are given against breathing."""
    pace: float = 0.15
    """Largest natural log of the factor by which a content is made faster or slower; pitch stays."""
    invent_patients: bool = True
    """Whether a clip is said to be of a patient who is put together from several of its label, where narratives are
    written by the template; else of the patient whose content is heard."""

    def __post_init__(self):
        refuse_share("transplant", self.transplant)
        refuse(self.event_gain_db < 0, f"an event gain of {self.event_gain_db} dB is below 0: 0 is none")
        refuse(not 0 <= self.pace <= 1, f"a pace of {self.pace} is outside 0 to 1")


GENERATORS = ("trained", "oracle", "style-transfer")
"""Kinds of generators by name."""


@dataclass(frozen=True)
class GeneratorSettings:
    """Planner, flow and vocoder."""

    kind: Annotated[str, tyro.conf.arg(aliases=["--generator"])] = "trained"
    """`trained`: planner and flow; `style-transfer`: real clips, equalised to another style, no model;
    `oracle`: the simulator (embedded corpus only); or a class of your own as module:Class."""
    content: Literal["planned", "exemplar"] = "exemplar"
    """Where a clip's content comes from: units that are planned, or a real training recording of the label.
    The planner is trained only where content is planned."""
    units: int = 192
    """Codebook size."""
    unit_components: int = 16
    """Principal directions of a patch in which units are told apart."""
    griffin_lim_iterations: int = 3
    """Of the vocoder `griffin-lim`: more come closer to the log-mel."""
    planner: PlannerSettings = field(default_factory=PlannerSettings)
    flow: FlowSettings = field(default_factory=FlowSettings)
    composition: CompositionSettings = field(default_factory=CompositionSettings)
    vocoder: VocoderSettings = field(default_factory=VocoderSettings)

    def __post_init__(self):
        refuse(
            self.kind not in GENERATORS and ":" not in self.kind,
            f"there is no generator {self.kind!r}: choose one of {', '.join(GENERATORS)}, or your own as module:Class",
        )
        refuse(self.units < 2, f"a codebook of {self.units} units says nothing: give at least 2")
        refuse(self.unit_components < 1, "units are told apart in at least 1 direction")
        refuse(
            self.griffin_lim_iterations < 1, "the vocoder needs at least 1 iteration: without one, noise stays noise"
        )
