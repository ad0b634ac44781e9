from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from resp_agent.errors import UserError
from resp_agent.training.distributed import join_process_group


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_process_forked_from_one_in_a_group_is_refused_and_does_not_wait(start):
    assert join_process_group() == join_process_group() == (0, 1)
    with ProcessPoolExecutor(1, mp_context=get_context(start)) as pool:
        joined = pool.submit(join_process_group)
        if start == "spawn":
            assert joined.result(60) == (0, 1)
        else:
            with pytest.raises(UserError, match='"context": "spawn"'):
                joined.result(60)
