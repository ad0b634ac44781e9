"""What a cluster's dashboards draw of a run: counters and gauges that Ray exports to Prometheus.

Names get the prefix `ray_`, counters the suffix `_total`. Every one is tagged with the run: the name of its workspace.
"""

from functools import cache

import ray
from ray.util.metrics import Counter, Gauge, Metric

COUNTERS = {
    "resp_clips_synthesized": "Clips that generator workers have made.",
    "resp_synthesis_seconds": "Seconds of work of generator workers on clips.",
    "resp_learning_seconds": "Seconds that the diagnoser's gang has trained and learned.",
    "resp_restarts": "Workers that took the place of one that died.",
}
GAUGES = {
    "resp_reward": "Gain of the last round.",
    "resp_macro_f1": "Macro-F1 on validation after the last round.",
    "resp_quarantined": "Recordings of the corpus that were set aside as unusable.",
    "resp_generators": "Generator workers that have a place.",
    "resp_queue": "Requests that wait for a generator worker or are being made.",
}
"""Name -> what it says."""


def count(name: str, run: str, by: float = 1.0) -> None:
    """Adds to one of `COUNTERS`; nothing where this process belongs to no Ray."""
    if by > 0 and ray.is_initialized():
        _metric(name).inc(by, tags={"run": run})


def show(name: str, run: str, value: float) -> None:
    """Sets one of `GAUGES`; nothing where this process belongs to no Ray."""
    if ray.is_initialized():
        _metric(name).set(value, tags={"run": run})


@cache
def _metric(name: str) -> Metric:
    # Made when it is first needed: a process that has not joined a Ray yet has nowhere to send it.
    kind, texts = (Counter, COUNTERS) if name in COUNTERS else (Gauge, GAUGES)
    return kind(name, description=texts[name], tag_keys=("run",))
