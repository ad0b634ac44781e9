"""What the service is asked and what it answers, as pydantic models: the source of its OpenAPI description."""

from typing import Literal

from pydantic import BaseModel, Field


class Problem(BaseModel):
    """Why there is no answer."""

    detail: str = Field(description="One sentence, with a way out.")
    request_id: str


class LabelProbability(BaseModel):
    label: str
    probability: float = Field(ge=0, le=1, description="Calibrated on validation.")


class Relevance(BaseModel):
    """What each moment did for the likeliest label."""

    start_s: float
    step_s: float
    values: list[float] = Field(description="0 to 1, the strongest moment being 1; 0 where it speaks against.")


class WordRelevance(BaseModel):
    word: str
    relevance: float = Field(ge=0, le=1, description="The strongest word being 1; 0 where it speaks against.")


class Diagnosis(BaseModel):
    """What a recording sounds like. Research software: no medical advice."""

    request_id: str
    seconds: float
    sample_rate_hz: int = Field(description="Of the upload.")
    label: str
    confidence: float = Field(ge=0, le=1)
    probabilities: list[LabelProbability] = Field(description="Highest first.")
    narrative: str | None = Field(description="The text that was read.")
    relevance: Relevance | None
    words: list[WordRelevance]
    warnings: list[str]
    fingerprint: str = Field(description="Of the diagnoser.")


class Event(BaseModel):
    start_s: float
    end_s: float
    kind: str


class Clip(BaseModel):
    id: str
    label: str
    style: str
    seed: int
    index: int
    seconds: float
    format: Literal["flac", "wav"]
    audio: str = Field(description="Base64.")
    events: list[Event]
    synthetic: Literal[True] = True


class Synthesis(BaseModel):
    request_id: str
    clips: list[Clip]
    fingerprint: str = Field(description="Of the generator.")


class Heard(BaseModel):
    """A training recording, to be heard beside a clip."""

    kind: Literal["simulated", "real"]
    label: str
    style: str
    seconds: float
    format: Literal["flac"] = "flac"
    audio: str = Field(description="Base64.")
    events: list[Event]


class LabelCount(BaseModel):
    label: str
    recordings: int


class StyleCount(BaseModel):
    style: str
    recordings: int | None = Field(description="Null where the corpus is not at hand.")


class Labels(BaseModel):
    labels: list[LabelCount]


class Styles(BaseModel):
    styles: list[StyleCount]


class TrainingData(BaseModel):
    recordings: int
    labels: dict[str, int]
    styles: dict[str, int | None]


class UploadLimits(BaseModel):
    upload_bytes: int
    seconds: float
    count: int


class Model(BaseModel):
    """The model card."""

    name: str
    version: str
    fingerprint: str
    generator_fingerprint: str | None
    trained: str
    training_data: TrainingData
    intended_use: str
    limits: UploadLimits
    needs_token: bool
    can_synthesize: bool


class Job(BaseModel):
    job: str


class BatchResult(BaseModel):
    """A diagnosis without its explanation, or why there is none."""

    name: str = Field(description="Index of the file in the upload.")
    label: str | None = None
    confidence: float | None = None
    probabilities: list[LabelProbability] | None = None
    seconds: float | None = None
    warnings: list[str] | None = None
    error: str | None = None


class Batch(BaseModel):
    state: Literal["running", "done"]
    done: int
    total: int
    results: list[BatchResult] = Field(description="In the order of the files, as far as they are done.")


class Run(BaseModel):
    run: str
    policy: str | None
    generator: str | None
    seed: int | None
    clips: int | None
    test_macro_f1_before: float | None
    test_macro_f1_after: float | None
    test_macro_f1_ci95: list[float] | None
    figures: list[str]
    report: bool


class Runs(BaseModel):
    runs: list[Run]


class Health(BaseModel):
    status: Literal["ok"] = "ok"
