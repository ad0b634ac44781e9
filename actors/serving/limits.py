"""What one request, one client and one replica may ask for."""

from dataclasses import dataclass

from resp_agent.settings.checks import refuse

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """What is refused, and what has to wait."""

    upload_mib: float = 10.0
    """Largest body of a request, MiB; what is larger is answered by 413 before it is read."""
    seconds: float = 60.0
    """Longest recording that is diagnosed."""
    count: int = 8
    """Clips of a request."""
    files: int = 32
    """Files of a batch, whose body may be this many quarters of `upload_mib`."""
    rate_per_s: float = 50.0
    """Requests a second of one client, beyond a burst of twice as many; more are answered by 429."""
    at_once: int = 64
    """Requests with a body that are held at once; more are answered by 503."""
    upload_s: float = 30.0
    """Seconds in which a body has to arrive."""
    answer_s: float = 60.0
    """Seconds in which a model has to answer."""

    def __post_init__(self):
        refuse(not self.upload_mib > 0, f"uploads of {self.upload_mib} MiB are none: give --upload-mib above 0")
        refuse(not self.seconds >= 0.5, f"recordings of {self.seconds} s hold no breath: give --seconds at least 0.5")
        refuse(not 1 <= self.count <= 32, f"{self.count} clips of a request cannot be: give --count 1 to 32")
        refuse(self.files < 1 or self.at_once < 1, "a service takes at least one file and one request at once")
        refuse(not self.rate_per_s > 0, f"a rate of {self.rate_per_s} answers nobody: give --rate-per-s above 0")

    @property
    def upload_bytes(self) -> int:
        """Largest body of a request."""
        return int(self.upload_mib * MIB)

    @property
    def batch_bytes(self) -> int:
        """Largest body of a batch."""
        return self.upload_bytes * max(1, self.files // 4)

    def body_bytes(self, path: str) -> int:
        """Largest body that a path takes."""
        return self.batch_bytes if path.rstrip("/") == "/v1/batch" else self.upload_bytes
