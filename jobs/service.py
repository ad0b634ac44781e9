"""The application on a Ray: started, replaced while it answers, drained and taken down."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress

import ray
from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException

from actors.cluster import connect, knock
from actors.endpoint import OWN
from actors.serving.app import NAME, Settings, build
from actors.serving.safety import token_digest
from actors.serving.served import Served
from jobs.serve import LOOPBACK, TOKEN, ServeJob
from resp_agent.errors import RunFailed


class Service:
    """An application as a job asks for it. `stop` takes it down, however far `start` came."""

    def __init__(self, job: ServeJob, served: Served, port: int, on_signal: Callable):
        self._job, self._served, self._port, self._on_signal = job, served, port, on_signal
        self._handle = None

    def start(self) -> None:
        """Returns when the models answer.

        Raises:
            RunFailed: they do not, or there is no Ray to run on.
        """
        job = self._job
        knock()
        connect()
        # Ray has handlers of its own, which would end this process before the service is drained.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        serve.start(
            proxy_location="EveryNode" if os.environ.get("RAY_ADDRESS", "") not in OWN else "HeadOnly",
            http_options={"host": job.host, "port": self._port},
        )
        self.deploy(self._served)

    def deploy(self, served: Served) -> None:
        """Serves it in place of what was served before, replica by replica, without losing a request.

        Raises:
            RunFailed: its models do not answer.
        """
        job, token = self._job, os.environ.get(TOKEN)
        shared = {name: getattr(job, name) for name in Settings.model_fields if hasattr(job, name)}
        hosts = LOOPBACK if not token else ()
        application = build(served, job.limits, Settings(**shared), token_digest(token), hosts, job.origins)
        try:
            self._handle = serve.run(application, name=NAME, route_prefix="/")
        except (RuntimeError, RayServeException, RayError) as problem:
            first = (str(problem).splitlines() or [type(problem).__name__])[0]
            raise RunFailed(f"the service does not start ({first}): see its logs, or lower the reservations") from None

    def stop(self) -> None:
        """Finishes what has begun, within `drain_s`, and ends replicas, proxy and, where it is its own, Ray."""
        if not ray.is_initialized():
            return
        with suppress(RayError, RayServeException, TimeoutError, RuntimeError):
            if self._handle is not None:
                self._handle.drain.remote(self._job.drain_s).result(timeout_s=self._job.drain_s + 5)
        with suppress(RayError, RayServeException, TimeoutError, RuntimeError):
            serve.shutdown()
        ray.shutdown()
