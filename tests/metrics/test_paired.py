import numpy as np
import pytest
from scipy import stats

from resp_agent.metrics.paired import paired


def test_the_interval_is_that_of_a_one_sample_t_test():
    gaps = np.random.default_rng(4).normal(0.03, 0.02, 7)
    mean, interval = paired(gaps)
    assert mean == pytest.approx(gaps.mean())
    assert interval == pytest.approx(tuple(stats.ttest_1samp(gaps, 0).confidence_interval(0.95)))


def test_equal_differences_leave_no_doubt():
    assert paired([0.25, 0.25]) == (0.25, (0.25, 0.25))
