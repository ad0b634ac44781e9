"""Jobs submitted to a cluster: their working directory is a copy that goes away with them."""

import os

from resp_agent.errors import UserError
from resp_agent.storage import is_remote, local


def submitted() -> bool:
    """Whether this process is a job that was submitted to Ray."""
    return "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ


def refuse_relative(flag: str, path: str) -> None:
    """Raises UserError for a path that a submitted job would look for in its disposable copy."""
    if submitted() and not (is_remote(path) or local(path).is_absolute()):
        raise UserError(
            f"{flag} {path} is relative, and a submitted job's working directory goes away: give an absolute path "
            "or a URI such as s3://bucket/name"
        )
