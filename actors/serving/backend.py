"""What answers behind the ingress, and how it fails: the ingress knows no more of replicas."""

from typing import Protocol

from actors.serving.generator import Asked
from actors.serving.said import Said


class Busy(Exception):
    """There is no answer now, and may be one later. The sentence is for the client."""

    def __init__(self, sentence: str, retry_after_s: int = 1):
        super().__init__(sentence)
        self.sentence, self.retry_after_s = sentence, retry_after_s


class Backend(Protocol):
    """Diagnoser and generator. Answers are plain data; `{"reason": sentence}` refuses what was sent."""

    can_synthesize: bool

    async def diagnose(self, data: bytes, said: Said, explain: bool) -> dict:
        """The fields of `schema.Diagnosis` but for the request's id."""

    async def decode(self, data: bytes) -> dict:
        """An upload as `flac` (16 kHz, mono)."""

    async def synthesize(self, asked: Asked, coding: str) -> dict:
        """See `GeneratorReplica.synthesize`."""

    async def recording(self, label: str, style: str | None) -> dict:
        """See `GeneratorReplica.recording`."""

    async def describe(self) -> dict:
        """What both say of themselves for the model card."""

    async def ready(self) -> bool:
        """Whether the diagnoser answers."""
