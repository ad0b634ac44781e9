"""Reaching a Ray, and getting a place on it."""

import logging
import os
import time
from collections.abc import Callable

import ray
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from actors.endpoint import OWN, endpoint, refusal
from resp_agent.errors import RunFailed
from resp_agent.logs import VARIABLE

LOCAL_OBJECT_STORE_BYTES = 200 * 2**20
"""Enough for a local Ray: audio never travels through the object store."""


def connect() -> None:
    """Joins the cluster named by RAY_ADDRESS; without one, starts a local Ray that ends with this process.

    Raises:
        RunFailed: the cluster does not answer.
    """
    if ray.is_initialized():
        return
    address = os.environ.get("RAY_ADDRESS", "")
    # Fractional reservations must not hide a node's GPUs from actors that were given none on purpose.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # A run that ends with one failure has no use for another one that nobody waited for.
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")
    # Workers on other nodes know nothing of what this process was told by its environment.
    told = {VARIABLE: os.environ[VARIABLE]} if VARIABLE in os.environ else {}
    runtime = {"env_vars": told} if told else None
    try:
        if address not in OWN:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, runtime_env=runtime)
        else:
            ray.init(
                address="local",
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                object_store_memory=LOCAL_OBJECT_STORE_BYTES,
            )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _unreachable(address, str(error)) from error


def knock() -> None:
    """Looks whether anything listens where RAY_ADDRESS points: Ray itself would try for minutes.

    Raises:
        RunFailed: nothing does, or it names no place.
    """
    address = os.environ.get("RAY_ADDRESS", "")
    if address in OWN or address == "auto":
        return
    try:
        reason = refusal(*endpoint(address))
    except ValueError as error:
        reason = str(error)
    if reason:
        raise _unreachable(address, reason)


def _unreachable(address: str, reason: str) -> RunFailed:
    first = (reason.splitlines() or ["no reason given"])[0]
    return RunFailed(
        f"Ray at {address or 'this machine'} cannot be reached ({first}): "
        "correct RAY_ADDRESS, unset it for a local Ray, or run in this process (--lab local, --where local)"
    )


ROOM_S = 5.0
"""Time to wait for a place before others are asked to make room, and again before the next."""
WAY_OUT = "lower the reservations (--generator-cpus, --diagnoser-cpus), the number of workers, or use --lab local"


def reserve(
    count: int,
    cpus: float,
    gpus: float,
    strategy: str,
    timeout_s: float,
    what: str,
    way_out: str = WAY_OUT,
    make_room: Callable[[], bool] = lambda: False,
) -> PlacementGroup:
    """`count` bundles of CPUs and GPUs for `what`; `way_out` says what a user can change. `release` gives them back.

    What runs in a place of its own, as a trial of a search does, has reserved for its actors too: they go there.
    `make_room` is asked to give something up while there is no place; it says whether it did.

    Raises:
        RunFailed: they are not to be had within `timeout_s`; the sentence says which resource is short.
    """
    own = borrowed()
    if own is not None:
        return own
    bundle = {"CPU": cpus} | ({"GPU": gpus} if gpus else {})
    group = placement_group([bundle] * count, strategy=strategy)
    deadline = time.monotonic() + timeout_s
    while not group.wait(max(min(ROOM_S, deadline - time.monotonic()), 0.1)):
        if time.monotonic() >= deadline:
            remove_placement_group(group)
            raise RunFailed(shortage(count, cpus, gpus, what, timeout_s, way_out))
        make_room()
    return group


def shortage(count: int, cpus: float, gpus: float, what: str, timeout_s: float, way_out: str = WAY_OUT) -> str:
    """A sentence on what is missing for `count` bundles that found no place."""
    bundle = {"CPU": cpus} | ({"GPU": gpus} if gpus else {})
    free, total = ray.available_resources(), ray.cluster_resources()
    short = [
        f"{count * amount:g} {kind} are needed, {free.get(kind, 0):g} of {total.get(kind, 0):g} are free"
        for kind, amount in bundle.items()
        if free.get(kind, 0) < count * amount
    ] or [f"no node has {cpus:g} CPU" + (f" and {gpus:g} GPU" if gpus else "") + " in one piece"]
    return f"{what} found no place within {timeout_s:g} s: {'; '.join(short)}; {way_out}"


def borrowed() -> PlacementGroup | None:
    """The place that this process itself runs in, if it is one that was reserved."""
    return ray.util.get_current_placement_group()


def release(group: PlacementGroup | None) -> None:
    """Gives back what `reserve` gave; a place that this process itself runs in stays."""
    own = borrowed()
    if group is not None and (own is None or own.id != group.id):
        remove_placement_group(group)


def within(group: PlacementGroup, number: int = -1) -> PlacementGroupSchedulingStrategy:
    """In a group's bundle of a number, -1 being any; in any where the group is this process's own place, too."""
    own = borrowed()
    is_own = own is not None and own.id == group.id
    return PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=-1 if is_own else number)
