"""Settings of training, and of the diagnoser."""

import math
from dataclasses import dataclass, field
from typing import Literal

from resp_agent.settings.checks import refuse


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
    schedule: Literal["constant", "linear"] = "constant"
    """The diagnoser's rate after the warm-up: as it is, or falling to a twentieth of its peak at the last step."""
    validate_every: int = 0
    """Steps of the diagnoser between looks at validation, of which the best by macro-F1 is kept; 0: one, at the end."""
    patience: int = 0
    """Looks without a gain after which training stops; 0: it never does."""

    def __post_init__(self):
        refuse(self.steps < 1 or self.batch < 1, "training needs at least 1 step and a batch of at least 1")
        refuse(
            self.batch % self.accumulation != 0,
            f"a batch of {self.batch} does not divide into {self.accumulation} micro-batches",
        )
        refuse(not self.learning_rate > 0, f"a learning rate of {self.learning_rate} teaches nothing: give one above 0")
        refuse(not 0 <= self.averaging < 1, f"averaging {self.averaging} is outside 0 to 1")
        refuse(self.zero_stage not in range(4), f"ZeRO stage {self.zero_stage} is none of 0, 1, 2, 3")
        refuse(self.checkpoint_every < 1, "checkpoint_every counts steps: give at least 1")
        refuse(
            self.validate_every < 0 or self.patience < 0,
            f"looks every {self.validate_every} steps with a patience of {self.patience} cannot be: give 0 or more",
        )
        refuse(
            self.patience > 0 and self.validate_every == 0,
            f"a patience of {self.patience} looks never ends without looks: give validate_every too",
        )


@dataclass(frozen=True)
class EncoderSettings:
    """What turns waveforms into frames of features; never trained with the diagnoser."""

    kind: Literal["log-mel", "whisper", "beats"] = "log-mel"
    """`log-mel`: the bands of `audio`; `whisper`, `beats`: a pretrained encoder's features."""
    weights: str | None = None
    """File, folder or hub name of a pretrained encoder."""
    window_s: float = 10.0
    """Seconds that a pretrained encoder hears at once; longer recordings are encoded window by window."""
    pool: int = 1
    """Neighbouring frames of Whisper (20 ms each) that are averaged into one."""
    shifts: int = 1
    """Times that BEATs hears a recording, each shifted: 1 gives a frame every 160 ms, 2 every 80 ms."""
    precision: Literal["float32", "float16"] = "float32"
    """Of features; float16 takes half the room on disk."""

    def __post_init__(self):
        refuse(
            self.kind != "log-mel" and not self.weights,
            f"the encoder {self.kind} needs weights: give --diagnoser.encoder.weights a file, a folder or a hub name",
        )
        refuse(
            not 1 <= self.window_s <= 30,
            f"an encoder window of {self.window_s} s is outside 1 to 30 s",
        )
        refuse(self.pool not in (1, 2, 4), f"pooling of {self.pool} frames is none of 1, 2, 4")
        refuse(self.shifts not in (1, 2), f"{self.shifts} shifts are none of 1, 2")

    def frame_ms(self, hop_ms: float) -> float:
        """Distance of frames in ms, `hop_ms` being that of log-mel."""
        return {"log-mel": hop_ms, "whisper": 20.0 * self.pool, "beats": 160.0 / self.shifts}[self.kind]


@dataclass(frozen=True)
class DiagnoserSettings:
    """The diagnoser: which system it is, what it hears and reads, and how it is trained."""

    system: str = "weaving"
    """A name of `resp_agent.diagnoser.systems.SYSTEMS`, or a class of your own as module:Class."""
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    centre: Literal["corpus", "recording"] = "corpus"
    """What frames are centred on: the training split's mean, or each recording's own, which takes a device's linear
    response out of log-mel (and with it what levels say of a disease)."""
    text: Literal["narrative", "metadata"] = "narrative"
    """What is read: the narrative, or the fields that it was made from as `name: value`."""
    text_model: str | None = None
    """Folder or hub name of a pretrained text model that reads; without one, words are learned from the narratives."""
    audio_stem: Literal["convolution", "projection", "conformer"] = "convolution"
    """What makes audio tokens of frames, for `weaving`: two convolutions; a linear map of each, for frames of a
    pretrained encoder; or a Conformer, which the systems named after it have anyway."""
    stem_weights: str | None = None
    """Safetensors file of a stem that was pretrained; without one it starts from scratch."""
    anchors: bool = True
    """Whether some audio tokens have global attention."""
    loss: Literal["cross-entropy", "class-weighted", "focal"] = "cross-entropy"
    """`class-weighted`: each recording weighs as its label is rare; `focal`: as it is hard."""
    focal_gamma: float = 2.0
    """How much harder recordings count more, for `focal`."""
    alignment: float = 0.0
    """Weight at which features unlearn, in rounds, what tells clips from recordings: that of the reversed gradient of a
    head that tells them apart; 0: there is no such head."""
    width: int = 64
    """Width of a token; a pretrained text model has its own."""
    layers: int = 2
    """Transformer layers; likewise."""
    heads: int = 4
    """Attention heads; likewise."""
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
        refuse(self.width % self.heads != 0, f"a width of {self.width} does not divide into {self.heads} heads")
        refuse(
            self.anchor_ms % self.token_ms != 0,
            f"anchors every {self.anchor_ms} ms do not fall on tokens every {self.token_ms} ms",
        )
        refuse(self.drop_text + self.drop_audio > 1, "drop_text and drop_audio together exceed 1")
        refuse(not self.focal_gamma >= 0, f"a focal gamma of {self.focal_gamma} is below 0: 0 is plain cross-entropy")
        refuse(
            not (self.alignment >= 0 and math.isfinite(self.alignment)),
            f"an alignment of {self.alignment} is no weight: give a finite one of at least 0, which is none",
        )
        refuse(
            self.alignment > 0 and self.system == "conformer+bert-voting",
            "an alignment above 0 needs one vector that the answer is read from, and conformer+bert-voting has two: "
            "choose another --diagnoser.system, or leave --diagnoser.alignment at 0",
        )
