"""What the service counts, for Prometheus: requests by route and status. Nothing of what was sent."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """Counts of one process."""

    def __init__(self):
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "resp_agent_requests", "Answered requests.", ("route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "resp_agent_request_seconds", "Time to answer.", ("route",), buckets=SECONDS, registry=self._registry
        )

    def count(self, route: str, status: int, seconds: float) -> None:
        """Counts a request; `route` is a template such as `/v1/batch/{job}`, never the path that was asked for."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """The text format of Prometheus."""
        return generate_latest(self._registry)
