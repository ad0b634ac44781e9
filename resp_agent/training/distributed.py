"""The process group that DeepSpeed engines of this process share."""

import dataclasses
import logging
import os
import socket

import torch
import torch.distributed as dist

from resp_agent.errors import UserError

_joined_as: int | None = None
"""Id of the process that last joined a group here: a forked one inherits it, and with it a group that it is not in."""


def free_port() -> int:
    """A TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def device() -> torch.device:
    """Where models of this process live: its GPU where there is one, else the CPU."""
    return torch.device("cuda") if torch.cuda.is_available() else torch.device("cpu")


def join_process_group() -> tuple[int, int]:
    """Joins the group named by RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT; alone where they are not set.

    A group that this process is in already (Ray Train makes one) is taken as it is.

    Returns:
        (rank, world size). NCCL on GPUs, gloo on CPUs.

    Raises:
        UserError: the process was forked from one that is in a group, whose threads it lacks: it would wait for ever.
    """
    global _joined_as
    if dist.is_initialized() and _joined_as not in (None, os.getpid()):
        raise UserError(
            "this process was forked from one that trains, which cannot be: start processes by spawn, "
            'environments side by side with vector_kwargs={"context": "spawn"}'
        )
    if dist.is_initialized():
        # DeepSpeed too must know of a group that others made; told a second time, it does nothing.
        quiet_deepspeed().init_distributed(dist_backend=dist.get_backend(), verbose=False)
    else:
        os.environ.setdefault("LOCAL_RANK", "0")
        alone = {} if "WORLD_SIZE" in os.environ else _group_of_one()
        os.environ.update(alone)
        quiet_deepspeed().init_distributed(dist_backend="nccl" if torch.cuda.is_available() else "gloo", verbose=False)
        # Processes started from here must not take this group for theirs.
        for name in alone:
            del os.environ[name]
    _joined_as = os.getpid()
    return dist.get_rank(), dist.get_world_size()


def _group_of_one() -> dict[str, str]:
    return {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}


def quiet_deepspeed():
    """The deepspeed module, errors only: a run's console has one line a round."""
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    if not torch.cuda.is_available():
        # Left to find out by itself, it warns.
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    import deepspeed

    deepspeed.utils.logger.setLevel(logging.ERROR)
    # It would compile a shared-memory collective at first use: a compiler is not to be had everywhere, and a process
    # killed while it compiles leaves a lock that all later ones wait for. gloo does the same work.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    return deepspeed


def on_device(batch, target: torch.device):
    """A tensor, a tuple or list, or a dataclass of them, moved to `target`; anything else as it is."""
    if isinstance(batch, torch.Tensor):
        return batch.to(target)
    if isinstance(batch, (tuple, list)):
        return type(batch)(on_device(part, target) for part in batch)
    if dataclasses.is_dataclass(batch):
        moved = {entry.name: on_device(getattr(batch, entry.name), target) for entry in dataclasses.fields(batch)}
        return dataclasses.replace(batch, **moved)
    return batch


def gather(values: torch.Tensor) -> torch.Tensor:
    """Rows of every rank, (N_rank, ...) each, stacked in rank order on every rank."""
    if dist.get_world_size() == 1:
        return values
    counts = [torch.zeros(1, dtype=torch.long, device=values.device) for _ in range(dist.get_world_size())]
    dist.all_gather(counts, torch.tensor([len(values)], device=values.device))
    longest = max(int(count) for count in counts)
    padded = values.new_zeros(longest, *values.shape[1:])
    padded[: len(values)] = values
    parts = [torch.empty_like(padded) for _ in counts]
    dist.all_gather(parts, padded)
    return torch.cat([part[: int(count)] for part, count in zip(parts, counts, strict=True)])
