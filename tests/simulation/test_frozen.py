"""The embedded corpus is a yardstick: it does not change without a new version."""

import pytest

from resp_agent.settings import SimulationSettings
from resp_agent.simulation import VERSION, corpus_hash, embedded_corpus

FROZEN = {"embedded-1": "3b63ca0baef34fea7c1411ba13098a48"}
"""Version -> hash of seed 0's corpus at the default sizes."""


@pytest.mark.slow
def test_the_corpus_of_seed_0_is_the_one_that_was_measured():
    assert corpus_hash(embedded_corpus(SimulationSettings(), 0)) == FROZEN[VERSION]
