"""A Ray of a test's own, started and asked as on a command line; nobody without its token may."""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
RAY = Path(sys.executable).with_name("ray")
START_S, STOP_S, JOB_S = 120.0, 10.0, 300.0


class Head:
    """`ray start --head` in a folder and on ports of its own, with token authentication."""

    def __init__(self, cpus: int = 2):
        # Sockets lie in it, and their paths are short.
        self.folder = Path(tempfile.mkdtemp(prefix="ray-"))
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        gcs, self.dashboard, agent, client = _free_ports(4)
        self.address, self.url = f"127.0.0.1:{gcs}", f"http://127.0.0.1:{self.dashboard}"
        self._command = [str(RAY), "start", "--head", "--block", "--num-cpus", str(cpus), "--port", str(gcs)]
        self._command += ["--node-ip-address", "127.0.0.1", "--temp-dir", str(self.folder)]
        self._command += ["--dashboard-port", str(self.dashboard), "--dashboard-agent-listen-port", str(agent)]
        self._command += ["--ray-client-server-port", str(client), "--min-worker-port", "0", "--max-worker-port", "0"]
        self._command += ["--object-store-memory", str(100 * 2**20)]
        self.start()

    def start(self) -> None:
        """Starts it, at first or again; returns once jobs can be submitted."""
        self._log = self.folder / "start.log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_S
        while self.code("/api/jobs/") != 200:
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.2)

    def stop(self) -> None:
        """Ends it with everything that runs on it, as `ray stop` does; its folder stays."""
        if self._process.poll() is None:
            family = [psutil.Process(self._process.pid), *psutil.Process(self._process.pid).children(recursive=True)]
            self._process.terminate()
            for left in psutil.wait_procs(family, STOP_S)[1]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    left.kill()
            self._process.wait()

    def close(self) -> None:
        """Ends it and leaves nothing."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def code(self, path: str, token: bool = True) -> int | None:
        """The status with which the dashboard answers; None: it does not."""
        request = urllib.request.Request(self.url + path)
        if token:
            request.add_header("Authorization", f"Bearer {self._environment['RAY_AUTH_TOKEN']}")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status
        except urllib.error.HTTPError as refused:
            return refused.code
        except OSError:
            return None

    def ray(self, *words: str, token: bool = True, timeout_s: float = JOB_S) -> subprocess.CompletedProcess:
        """`ray <words>` with this cluster's address."""
        environment = {**self._environment, "RAY_ADDRESS": self.url}
        if not token:
            environment = {name: value for name, value in environment.items() if not name.startswith("RAY_AUTH")}
            # Nor one that lies in somebody's home.
            environment |= {"RAY_AUTH_MODE": "disabled", "HOME": str(self.folder)}
        return subprocess.run(
            [str(RAY), *words],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False,
        )  # fmt: skip

    def submit(self, *words: str, options: tuple[str, ...] = (), **how) -> subprocess.CompletedProcess:
        """`ray job submit` as the README has it, of `python -m jobs.<words>`; returns when the job has ended.

        Variables of the job's own may come before, as in `RESP_AGENT_LOG=json`.
        """
        environment = ("--runtime-env", "cluster/runtime_env.yaml", "--working-dir", ".")
        variables = [word for word in words[:1] if "=" in word]
        module, *flags = words[len(variables) :]
        entrypoint = ["env", *variables] * bool(variables) + ["python", "-m", f"jobs.{module}", *flags]
        return self.ray("job", "submit", *environment, *options, "--", *entrypoint, **how)


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports
