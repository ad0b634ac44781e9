"""Workers that come and go: each item is done by whichever is free, and again by another one if that is lost."""

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import NodeDiedError, ObjectLostError, OutOfMemoryError, RayActorError, RayTaskError

from resp_agent.errors import RunFailed
from resp_agent.logs import log

LOSSES = 20
"""Workers that may be lost over one item before it is to blame."""
POLL_S = 1.0
PAUSE_S = 60.0
"""Longest time between a loss and the next attempt, while one worker after the other is lost without a result."""
MOMENT_S = 1.0
LOST = (RayActorError, NodeDiedError, ObjectLostError, OutOfMemoryError)
"""What says that a worker, or what it gave, is gone."""
SEE = "see their logs, or reserve more for each; what is done is kept"

Call = Callable[[ActorHandle, Any], ray.ObjectRef]
"""Starts an item on a worker. Items can be done twice: what they leave is named by its content."""


@dataclass
class _Losses:
    """Losses without a result between them. Those of one moment count once: a node takes all of its workers along."""

    count: int = 0
    _last_s: float = -MOMENT_S

    def add(self) -> None:
        now = time.monotonic()
        if now - self._last_s >= MOMENT_S:
            self.count, self._last_s = self.count + 1, now


class Pool:
    """Up to `most` workers, as many as there is room for. One that is lost is replaced as soon as there is room again,
    and until then the others go on."""

    def __init__(self, make: Callable[[int], ActorHandle], load: Callable[[ActorHandle], ray.ObjectRef], most: int):
        """`make` asks for the worker of a number, which need not have a place yet; `load` is its first call."""
        self._make, self._load, self.most = make, load, most
        self._workers: dict[int, ActorHandle] = {}
        self._placing: dict[ray.ObjectRef, int] = {}
        self._loading: dict[ray.ObjectRef, int] = {}
        self._idle: deque[int] = deque()
        self._fruitless = _Losses()
        self._not_before = 0.0
        self.lost = 0
        """Workers that were lost so far."""

    @property
    def placed(self) -> int:
        """Workers that have a place."""
        return len(self._workers) - len(self._placing)

    def open(self, timeout_s: float, short: Callable[[], str]) -> None:
        """Asks for all workers, and returns when one can work.

        Raises:
            RunFailed: none has a place within `timeout_s`; `short()` says what is short.
            ray.exceptions.RayTaskError: a worker cannot load.
        """
        deadline = time.monotonic() + timeout_s
        while not self._idle:
            self._grow()
            self._hear(POLL_S, {})
            if self._fruitless.count >= LOSSES:
                raise RunFailed(f"{LOSSES} workers were lost one after the other before they could work: {SEE}")
            if self.placed:
                deadline = time.monotonic() + timeout_s
            elif time.monotonic() > deadline:
                raise RunFailed(short())

    def map(
        self, call: Call, items: Sequence, timeout_s: float, short: Callable[[], str], at_once: int | None = None
    ) -> Iterator[tuple[int, Any]]:
        """(index, result) of each item, as they are done; at most `at_once` at the same time.

        Raises:
            RunFailed: no worker has a place for `timeout_s`, or an item lost one worker after the other.
            ray.exceptions.RayTaskError: an item failed.
        """
        waiting, busy, losses = deque(range(len(items))), {}, defaultdict(_Losses)
        try:
            while waiting or busy:
                self.open(timeout_s, short) if not (busy or self._idle) else self._grow()
                while waiting and self._idle and (at_once is None or len(busy) < at_once):
                    worker, index = self._idle.popleft(), waiting.popleft()
                    busy[call(self._workers[worker], items[index])] = worker, index
                for reference in self._hear(POLL_S, busy):
                    worker, index = busy.pop(reference)
                    try:
                        result = ray.get(reference)
                    except LOST:
                        self._lose(worker, item=index)
                        waiting.appendleft(index)
                        losses[index].add()
                        if losses[index].count >= LOSSES:
                            raise RunFailed(f"{LOSSES} workers were lost over the same request: {SEE}") from None
                        continue
                    except RayTaskError:
                        # The item is at fault.
                        self._idle.append(worker)
                        raise
                    self._idle.append(worker)
                    self._fruitless = _Losses()
                    yield index, result
        finally:
            # What is still being done after a failure has no taker: its worker is of no use until it is over.
            for worker, _ in busy.values():
                self._end(worker)

    def shrink(self) -> bool:
        """Gives up a worker, one without a place if there is any; False: there is none."""
        if not self._workers:
            return False
        self._end(next(iter(self._placing.values()), next(reversed(self._workers))))
        return True

    def close(self) -> None:
        """Ends all workers."""
        while self.shrink():
            pass

    def _grow(self) -> None:
        if time.monotonic() < self._not_before:
            return
        for number in range(self.most):
            if number not in self._workers:
                self._workers[number] = worker = self._make(number)
                self._placing[worker.__ray_ready__.remote()] = number

    def _hear(self, timeout_s: float, busy: dict) -> list[ray.ObjectRef]:
        """Waits until something happens; returns which of the busy ones are done."""
        references = [*self._placing, *self._loading, *busy]
        if not references:
            time.sleep(timeout_s)
            return []
        # All that are done: one at a time, a thousand workers would be looked through for each answer.
        done, _ = ray.wait(references, num_returns=len(references), timeout=0)
        if not done:
            done, _ = ray.wait(references, timeout=timeout_s)
        for reference in done:
            number = self._placing.pop(reference, None)
            if number is not None and self._alive(reference, number):
                log("worker placed", worker=number, workers=self.placed, wanted=self.most)
                self._loading[self._load(self._workers[number])] = number
            number = self._loading.pop(reference, None)
            if number is not None and self._alive(reference, number):
                self._idle.append(number)
        return [reference for reference in done if reference in busy]

    def _alive(self, reference: ray.ObjectRef, number: int) -> bool:
        try:
            ray.get(reference)
        except LOST:
            self._lose(number)
            return False
        except RayTaskError:
            self._end(number)
            raise
        return True

    def _lose(self, number: int, **over: int) -> None:
        self.lost += 1
        self._fruitless.add()
        # A worker that cannot live is not started again and again without a pause.
        many = self._fruitless.count
        self._not_before = time.monotonic() + (0 if many < 3 else min(PAUSE_S, 2.0**many / 8))
        self._end(number)
        log("worker lost", worker=number, workers=self.placed, wanted=self.most, **over)

    def _end(self, number: int) -> None:
        worker = self._workers.pop(number, None)
        if worker is None:
            return
        ray.kill(worker)
        for state in (self._placing, self._loading):
            for reference in [reference for reference, of in state.items() if of == number]:
                del state[reference]
        if number in self._idle:
            self._idle.remove(number)
