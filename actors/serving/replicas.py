"""The backend on deployments: uploads are decoded here, and diagnoses that are wanted at the same time asked for
together, so that one call between processes serves many of them."""

import asyncio

from ray import serve
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, RayServeException
from ray.serve.handle import DeploymentHandle

from actors.serving.backend import Busy
from actors.serving.diagnoser import Case
from actors.serving.generator import Asked
from actors.serving.intake import Intake
from actors.serving.said import Said
from resp_agent.audio.header import Unreadable

BATCH = 16
"""Recordings that are diagnosed together, at most."""
BATCH_WAIT_S = 0.01
"""Time that a recording waits for others."""
READY_S = 10.0


class Replicas:
    """Implements `Backend` on the deployments."""

    def __init__(
        self,
        diagnoser: DeploymentHandle,
        generator: DeploymentHandle | None,
        intake: Intake,
        answer_s: float,
        batch: int = BATCH,
        batches: int = 1,
    ):
        """
        Args:
            answer_s: seconds in which a model has to answer.
            batch: recordings that are diagnosed together, at most.
            batches: how many of them at once, at all diagnosers.
        """
        self._diagnoser, self._generator, self._intake, self._answer_s = diagnoser, generator, intake, answer_s
        self._described: dict | None = None
        self.can_synthesize = generator is not None
        gathered = serve.batch(max_batch_size=batch, batch_wait_timeout_s=BATCH_WAIT_S, max_concurrent_batches=batches)
        self._diagnosed = gathered(self._diagnose_all)

    async def diagnose(self, data: bytes, said: Said, explain: bool) -> dict:
        try:
            taken = await asyncio.to_thread(self._intake.take, data)
        except Unreadable as problem:
            return {"reason": f"the recording cannot be used: {problem.reason}"}
        return await self._diagnosed(Case(taken, said, explain))

    async def decode(self, data: bytes) -> dict:
        try:
            return {"flac": (await asyncio.to_thread(self._intake.take, data)).flac}
        except Unreadable as problem:
            return {"reason": f"the style reference cannot be used: {problem.reason}"}

    async def synthesize(self, asked: Asked, coding: str) -> dict:
        return await self._ask(self._generator.synthesize, asked, coding)

    async def recording(self, label: str, style: str | None) -> dict:
        if self._generator is None:
            return {"reason": "this service has no generator, and no recordings with it"}
        return await self._ask(self._generator.recording, label, style)

    async def describe(self) -> dict:
        if self._described is None:
            described = await self._ask(self._diagnoser.describe)
            if self._generator:
                described |= await self._ask(self._generator.describe)
            self._described = described
        return self._described

    async def ready(self) -> bool:
        try:
            async with asyncio.timeout(READY_S):
                return await self._diagnoser.ready.remote()
        except (TimeoutError, RayError, RayServeException):
            return False

    async def _diagnose_all(self, cases: list[Case]) -> list[dict]:
        return await self._ask(self._diagnoser.diagnose, cases)

    async def _ask(self, method, *arguments):
        try:
            async with asyncio.timeout(self._answer_s):
                return await method.remote(*arguments)
        except BackPressureError:
            raise Busy("the service is busy: try again soon") from None
        except TimeoutError:
            raise Busy(f"no answer within {self._answer_s:g} s: try again later", retry_after_s=5) from None
        except RayTaskError:
            # The replica lives: it failed at this request, and would again.
            raise
        except (RayActorError, RayServeException):
            raise Busy("what worked on this request was lost: send it again") from None
