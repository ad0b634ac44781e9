"""Serves a diagnoser and a generator over HTTP, on Ray Serve."""

import ipaddress
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import tyro

from actors.serving.limits import Limits
from actors.serving.served import Served, find_served, latest_run
from jobs.console import Console
from jobs.exits import run_job
from jobs.first_training import first_training
from resp_agent.errors import RunFailed, UserError
from resp_agent.settings import preset
from resp_agent.settings.checks import refuse
from resp_agent.storage import local

TOKEN = "RESP_AGENT_TOKEN"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
FIRST = "first-{preset}"
"""Folder below the runs for models that are trained because there are none."""
POLL_S = 0.2


@dataclass(frozen=True)
class ServeJob:
    """Serves a run's diagnoser and generator: a page to listen and look, and an HTTP interface (/openapi.json).

    Without a checkpoint it serves the latest run below --runs; where there is none it trains a small one first, on
    simulated sounds. On an address that others can reach it needs a token in RESP_AGENT_TOKEN. Research software: what
    it says of a recording is no medical advice."""

    run: str | None = None
    """A run directory, or that of a `train diagnoser`."""
    diagnoser: str | None = None
    """Folder of a diagnoser, in place of the run's."""
    generator: str | None = None
    """Folder of a `train generator` or of a run, in place of the run's."""
    runs: str = "runs"
    """Where runs are found and, with their reports, shown."""
    preset: str = "tiny"
    """What is trained where there is no run yet."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 8000
    """Port to listen on; 0 chooses a free one."""
    real_recordings: bool = False
    """Lets whoever may use the service hear training recordings of patients; simulated ones may always be heard."""
    origins: tuple[str, ...] = ()
    """Other pages' origins, such as https://example.org, that may use the service from a browser."""
    diagnosers: int = 1
    """Replicas of the diagnoser, at least."""
    most_diagnosers: int = 2
    """At most; as many as there is work for."""
    generators: int = 1
    """Replicas of the generator, at least."""
    most_generators: int = 2
    """At most."""
    diagnoser_cpus: float = 0.5
    """CPUs that a diagnoser reserves."""
    diagnoser_gpus: float = 0.0
    """GPUs that a diagnoser reserves."""
    generator_cpus: float = 0.5
    """CPUs that a generator reserves."""
    generator_gpus: float = 0.0
    """GPUs that a generator reserves."""
    batch: int = 16
    """Recordings that are diagnosed together, at most."""
    drain_s: float = 30.0
    """Seconds in which requests that have begun are finished when the service is told to stop."""
    limits: Annotated[Limits, tyro.conf.arg(name="")] = field(default_factory=Limits)

    def __post_init__(self):
        refuse(not 0 <= self.port < 65_536, f"port {self.port} is none: give --port 0 to 65535")
        refuse(
            self.diagnosers < 1 or self.generators < 1,
            "a service needs a replica of each: give at least 1",
        )
        refuse(self.batch < 1, f"batches of {self.batch} are none: give --batch at least 1")
        refuse(
            not _loopback(self.host) and not os.environ.get(TOKEN),
            f"on {self.host} anybody could use this service: set a token in {TOKEN}, or leave out --host",
        )


class _Stopped(BaseException):
    """The service was told to stop."""


def run(job: ServeJob) -> int:
    """Serves until SIGTERM or Ctrl-C, then drains; exit code 0. On SIGHUP what is found then takes the place of what
    was served, without losing a request.

    Raises:
        UserError: something given cannot be used.
        RunFailed: the service cannot start.
    """
    console = Console()
    # A second signal finds the service stopping already.
    told, again = threading.Event(), []

    def stop(*_) -> None:
        if not told.is_set():
            told.set()
            raise _Stopped

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    # A list, since the handler may interrupt whatever holds a lock.
    signal.signal(signal.SIGHUP, lambda *_: again.append(True))
    try:
        served = found(job, console)
        port = _free(job.host, job.port)
        # Imported when needed: what is refused before any work knows no Ray.
        from jobs.service import Service

        service = Service(job, served, port, stop)
        try:
            service.start()
            at = f"[{job.host}]" if ":" in job.host else job.host
            console.say(f"serving {served.trained[:-1]}")
            console.say(f"listening on http://{at}:{port}/")
            while True:
                again.clear()
                while not again:
                    time.sleep(POLL_S)
                _replace(service, job, console)
        finally:
            told.set()
            console.say("stopping: requests that have begun are finished")
            service.stop()
    except _Stopped:
        console.say("stopped")
    return 0


def _replace(service, job: ServeJob, console: Console) -> None:
    """Serves what is there now; what cannot be served leaves the service as it is."""
    console.say("told to look again at what there is to serve")
    try:
        served = found(job, console)
        service.deploy(served)
    except (UserError, RunFailed) as problem:
        console.say(f"it stays as it is: {problem}")
    else:
        console.say(f"serving {served.trained[:-1]}")


def found(job: ServeJob, console: Console) -> Served:
    """What is served; trained first where there is nothing."""
    chosen = job.run
    if not chosen and not job.diagnoser:
        latest = latest_run(local(job.runs))
        if latest is None:
            folder = local(job.runs) / FIRST.format(preset=job.preset)
            console.say(f"there is no run in {job.runs}: a first training of {job.preset!r} on simulated sounds begins")
            latest = first_training(folder, preset(job.preset), console)
        chosen = str(latest)
    shown = job.runs if local(job.runs).is_dir() and not job.run else None
    return find_served(chosen, job.diagnoser, job.generator, shown, job.real_recordings)


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _free(host: str, port: int) -> int:
    """The port, or a free one for 0; RunFailed where it is taken."""
    kind = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(kind, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OverflowError as problem:
            raise UserError(f"port {port} is none: give another --port") from problem
        except OSError as problem:
            raise RunFailed(f"{host}:{port} cannot be listened on ({problem.strerror}): give another --port") from None
        return probe.getsockname()[1]


def main(argv: Sequence[str] | None = None) -> int:
    """`resp-agent serve` and `python -m jobs.serve`; returns the exit code."""
    config = (tyro.conf.OmitSubcommandPrefixes,)
    return run_job(lambda words: run(tyro.cli(ServeJob, args=words, prog="resp-agent serve", config=config)), argv)


if __name__ == "__main__":
    sys.exit(main())
