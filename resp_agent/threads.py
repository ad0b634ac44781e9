"""Threads apart from reservations: both Labs set the same number, so that both compute the same bits."""

from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits


def set_threads(count: int) -> None:
    """Uses `count` threads for torch, BLAS and OpenMP in this process from now on."""
    torch.set_num_threads(count)
    threadpool_limits(count)


@contextmanager
def threads(count: int):
    """Uses `count` threads inside the block and restores what was set before."""
    before = torch.get_num_threads()
    with threadpool_limits(count):
        torch.set_num_threads(count)
        try:
            yield
        finally:
            torch.set_num_threads(before)
