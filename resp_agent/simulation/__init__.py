"""The embedded corpus: pathology (what is heard) x device (how it sounds)."""

from resp_agent.simulation.corpus import VERSION, Simulated, corpus_hash, embedded_corpus, simulate
from resp_agent.simulation.device import DEVICES
from resp_agent.simulation.pathology import LABELS

__all__ = ["DEVICES", "LABELS", "VERSION", "Simulated", "corpus_hash", "embedded_corpus", "simulate"]
