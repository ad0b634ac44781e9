"""Fixed-step solvers of dx/dt = velocity(x, t), and the moments at which they stop.

Hairer, Nørsett and Wanner, Solving Ordinary Differential Equations I, section II.1 where nothing else is said.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch

from resp_agent.settings.checks import refuse

Velocity = Callable[[torch.Tensor, float], torch.Tensor]
"""(state, time) -> the state's change per unit of time, of the state's shape."""
Solver = Callable[[Velocity, torch.Tensor, Sequence[float]], torch.Tensor]
"""(velocity, state at the first time, times) -> state at the last time."""


def euler(velocity: Velocity, x: torch.Tensor, times: Sequence[float]) -> torch.Tensor:
    """Carries `x` from the first of `times` to the last; one call of `velocity` a step, error of first order."""
    for now, then in pairwise(times):
        x = x + (then - now) * velocity(x, now)
    return x


def midpoint(velocity: Velocity, x: torch.Tensor, times: Sequence[float]) -> torch.Tensor:
    """Carries `x` from the first of `times` to the last; two calls of `velocity` a step, error of second order."""
    for now, then in pairwise(times):
        half = (then - now) / 2
        x = x + 2 * half * velocity(x + half * velocity(x, now), now + half)
    return x


def adams_bashforth(velocity: Velocity, x: torch.Tensor, times: Sequence[float]) -> torch.Tensor:
    """Carries `x` from the first of `times` to the last; one call of `velocity` a step, error of second order.

    Each step goes on along the line through this velocity and the one before (the same, section III.5, equation 5.5,
    two steps of any length); the first step is Euler's.
    """
    before, length_before = None, 1.0
    for now, then in pairwise(times):
        here, length = velocity(x, now), then - now
        slope = here if before is None else here + length / (2 * length_before) * (here - before)
        x, before, length_before = x + length * slope, here, length
    return x


SOLVERS: dict[str, Solver] = {"euler": euler, "midpoint": midpoint, "adams-bashforth": adams_bashforth}
"""Name -> solver."""


def even_times(points: int) -> list[float]:
    """`points` moments from 0 to 1, equally far apart."""
    refuse(points < 2, f"{points} points in time make no step: give at least 2")
    return [point / (points - 1) for point in range(points)]


def warped_times(points: int) -> list[float]:
    """`points` moments from 0 to 1, dense at the start, where data takes shape out of noise: 1 - cos(pi t / 2)."""
    # The cosine of pi / 2 is not quite 0 in floating point.
    return [*(1 - math.cos(math.pi / 2 * time) for time in even_times(points)[:-1]), 1.0]
