"""Errors that crossed from a worker, as the sentence that they were."""

from collections.abc import Iterator
from contextlib import contextmanager

from ray.exceptions import RayTaskError

from resp_agent.errors import RunFailed, UserError


@contextmanager
def unwrapped() -> Iterator[None]:
    """Raises a worker's UserError or RunFailed as itself, without Ray's account of where it happened."""
    try:
        yield
    except RayTaskError as error:
        if isinstance(error.cause, (UserError, RunFailed)):
            raise error.cause from None
        raise
