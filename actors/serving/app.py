"""The Ray Serve application: an ingress in front of diagnosers and generators.

`serve run actors.serving.app:application run=/shared/runs/first` and a RayService name `application`; `jobs/serve.py`
builds the same with `build`.
"""

import asyncio
import os
from collections.abc import Callable

from pydantic import BaseModel, ConfigDict
from ray import serve
from ray.serve import Application
from ray.serve.handle import DeploymentHandle
from starlette.middleware.cors import CORSMiddleware

from actors.serving.batches import Batches
from actors.serving.diagnoser import DiagnoserReplica
from actors.serving.generator import QUEUED, GeneratorReplica
from actors.serving.intake import Intake
from actors.serving.limits import Limits
from actors.serving.metrics import Metrics
from actors.serving.replicas import BATCH, Replicas
from actors.serving.routes import build as build_routes
from actors.serving.runs import RunFolder
from actors.serving.safety import Safety, token_digest
from actors.serving.said import Said
from actors.serving.served import Served, find_served
from resp_agent.errors import UserError

TOKEN = "RESP_AGENT_TOKEN"
"""Environment variable of the bearer token."""
NAME = "resp-agent"
BATCHES = 1
"""Of diagnoses at one replica: while the model works on one, the next is on its way."""
DRAIN_POLL_S = 0.05


class Settings(BaseModel):
    """How an application runs: what replicas reserve, how many there are, and what waits."""

    model_config = ConfigDict(extra="forbid")

    diagnoser_cpus: float = 0.5
    generator_cpus: float = 0.5
    ingress_cpus: float = 0.1
    diagnoser_gpus: float = 0.0
    generator_gpus: float = 0.0
    diagnosers: int = 1
    """Replicas at least."""
    most_diagnosers: int = 2
    generators: int = 1
    most_generators: int = 2
    batch: int = BATCH
    """Recordings that are diagnosed together, at most."""
    generator_queue: int = 8
    drain_s: float = 30.0
    """Seconds in which requests that have begun are finished when the service stops."""
    health_s: float = 10.0
    """Seconds between looks at whether the models answer as they should."""


class Arguments(Settings):
    """What `application` takes: a run, or checkpoints; see `resp-agent serve --help`."""

    run: str | None = None
    diagnoser: str | None = None
    generator: str | None = None
    runs: str | None = None
    real_recordings: bool = False
    without_token: bool = False
    """Whether a service that others can reach may do without RESP_AGENT_TOKEN."""
    upload_mib: float = Limits.upload_mib
    seconds: float = Limits.seconds
    rate_per_s: float = Limits.rate_per_s


def application(args: Arguments) -> Application:
    """Builds the application for `serve run`, `serve deploy` and RayService.

    Raises:
        UserError: there is nothing to serve, or no token is set and nothing says that none is wanted.
    """
    token = os.environ.get(TOKEN)
    if not token and not args.without_token:
        raise UserError(f"anybody could use this service: set {TOKEN}, or give without_token=true")
    if not (args.run or args.diagnoser):
        raise UserError("there is nothing to serve: give run=<folder of a run> or diagnoser=<folder>")
    served = find_served(args.run, args.diagnoser, args.generator, args.runs, args.real_recordings)
    limits = Limits(upload_mib=args.upload_mib, seconds=args.seconds, rate_per_s=args.rate_per_s)
    return build(served, limits, Settings(**args.model_dump(include=set(Settings.model_fields))), token_digest(token))


def build(
    served: Served,
    limits: Limits,
    how: Settings,
    digest: str | None = None,
    hosts: tuple[str, ...] = (),
    origins: tuple[str, ...] = (),
) -> Application:
    """The three deployments, bound together. `digest`, `hosts` and `origins` are those of `Safety`."""

    def deployed(kind: Callable, cpus: float, gpus: float, least: int, most: int, ongoing: int, queue: int, **more):
        return serve.deployment(kind).options(
            ray_actor_options={"num_cpus": cpus, "num_gpus": gpus},
            max_ongoing_requests=ongoing,
            max_queued_requests=queue,
            autoscaling_config={
                "min_replicas": least,
                "max_replicas": max(least, most),
                "target_ongoing_requests": max(1.0, ongoing / 2),
            },
            health_check_period_s=how.health_s,
            health_check_timeout_s=30.0,
            graceful_shutdown_wait_loop_s=0.5,
            graceful_shutdown_timeout_s=how.drain_s,
            **more,
        )

    diagnoser = deployed(
        DiagnoserReplica,
        how.diagnoser_cpus,
        how.diagnoser_gpus,
        how.diagnosers,
        how.most_diagnosers,
        BATCHES,
        limits.at_once,
    ).bind(served)
    generator = None
    if served.studio:
        generator = deployed(
            GeneratorReplica,
            how.generator_cpus,
            how.generator_gpus,
            how.generators,
            how.most_generators,
            QUEUED,
            how.generator_queue,
        ).bind(served.studio, served.real)
    # One ingress: it counts rates, holds batches and gathers diagnoses. Uploads are decoded in processes beside it.
    held = limits.at_once + 256
    ingress = deployed(Ingress, how.ingress_cpus, 0, 1, 1, held, held)
    gathered = how.batch, BATCHES * max(how.diagnosers, how.most_diagnosers)
    return ingress.bind(diagnoser, generator, gathered, served.runs, limits, digest, hosts, origins)


class Ingress:
    """Speaks HTTP, and passes on. `drain` is asked for by whoever stops the service."""

    def __init__(
        self,
        diagnoser: DeploymentHandle,
        generator: DeploymentHandle | None,
        gathered: tuple[int, int],
        runs: str | None,
        limits: Limits,
        digest: str | None,
        hosts: tuple[str, ...],
        origins: tuple[str, ...],
    ):
        self._limits, self._origins = limits, origins
        backend = Replicas(diagnoser, generator, Intake(limits.seconds), limits.answer_s, *gathered)
        self._batches = Batches(lambda data: backend.diagnose(data, Said(), False))
        metrics = Metrics()
        routes = build_routes(backend, self._batches, limits, metrics, RunFolder(runs), digest is not None)
        self._safety = Safety(routes, limits, metrics, digest, hosts, origins)

    def __serve_build_asgi_app__(self):
        if not self._origins:
            return self._safety
        return CORSMiddleware(
            self._safety,
            allow_origins=self._origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
        )

    async def drain(self, timeout_s: float) -> bool:
        """Turns new requests away and waits until those that have begun are done; whether they all are."""
        self._safety.draining = True
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        while self._safety.open or self._batches.running:
            if loop.time() > until:
                return False
            await asyncio.sleep(DRAIN_POLL_S)
        return True


Ingress = serve.ingress()(Ingress)
__all__ = ["Arguments", "Settings", "application", "build"]
