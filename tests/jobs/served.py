"""The service as a process of its own, and its client."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.jobs.runs import AGENTS, _running, _wait, family

START_S, STOP_S = 240.0, 90.0


class Serving:
    """`python -m jobs.serve`, begun; `url` is where it listens."""

    def __init__(self, folder: Path, *flags: str, token: str | None = None):
        self.said = folder / "said.txt"
        environment = {name: value for name, value in os.environ.items() if name != "RESP_AGENT_TOKEN"}
        environment |= {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "OMP_NUM_THREADS": "1"}
        if token:
            environment["RESP_AGENT_TOKEN"] = token
        with self.said.open("wb") as out:
            command = [sys.executable, "-m", "jobs.serve", "--port", "0", *flags]
            self.process = subprocess.Popen(command, stdout=out, stderr=out, env=environment, cwd=folder)
        listening = re.compile(r"listening on (http\S+)/")
        if not _wait(lambda: listening.search(self.text) or self.process.poll() is not None, START_S):
            self.kill()
        found = listening.search(self.text)
        assert found, self.text
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self.client = httpx.Client(base_url=found.group(1), timeout=60, headers=headers)

    @property
    def text(self) -> str:
        """What it has said so far."""
        return self.said.read_text()

    @property
    def session(self) -> Path:
        """The folder of its Ray, logs included."""
        (found,) = Path("/tmp/ray").glob(f"session_*_{self.process.pid}")
        return found

    def replicas(self, name: str) -> list[int]:
        """Process ids of the replicas of a deployment."""
        return [pid for pid, line in family(self.process.pid).items() if f":{name}" in line and "ServeReplica" in line]

    def terminate(self) -> int:
        """SIGTERM; the exit code, once no process of it is left."""
        own = family(self.process.pid)
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(STOP_S)
        workers = [pid for pid, line in own.items() if not line.startswith(AGENTS)]
        assert _wait(lambda: not any(map(_running, workers)), 30), [own[pid] for pid in workers if _running(pid)]
        return code

    def kill(self) -> None:
        """Leaves nothing behind, whatever a test came to."""
        left = family(self.process.pid) if self.process.poll() is None else {}
        for pid in left:
            if _running(pid):
                os.kill(pid, signal.SIGKILL)
        if left:
            self.process.wait(10)

    def until_ready(self, timeout_s: float = 60.0) -> None:
        """Returns when the model answers."""
        until = time.monotonic() + timeout_s
        while self.client.get("/readyz").status_code != 200:
            assert time.monotonic() < until, "the service does not become ready"
            time.sleep(0.2)
