"""Solvers against a problem with a known answer, and against torchdiffeq."""

import math

import pytest
import torch
from torchdiffeq import odeint

from resp_agent.errors import UserError
from resp_agent.generator.solver import SOLVERS, adams_bashforth, euler, even_times, midpoint, warped_times


def _decay(x, t):
    """dx/dt = x cos t, whose answer is x(0) exp(sin t)."""
    return x * math.cos(t)


@pytest.mark.parametrize(("solver", "order"), [(euler, 1), (midpoint, 2)])
@pytest.mark.parametrize("times", [even_times, warped_times])
def test_error_falls_as_the_order_says(solver, order, times):
    start = torch.tensor([1.0, -2.0], dtype=torch.float64)
    exact = start * math.exp(math.sin(1))
    errors = [(solver(_decay, start, times(points)) - exact).abs().max().item() for points in (41, 81)]
    assert errors[0] < 0.05
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.05)


@pytest.mark.parametrize("name", ["euler", "midpoint"])
def test_agrees_with_torchdiffeq(name):
    draw = torch.Generator().manual_seed(1)
    matrix, x = torch.randn(4, 4, generator=draw, dtype=torch.float64), torch.randn(4, 3, generator=draw).double()

    def velocity(x, t):
        return matrix @ x * (1 + float(t) ** 2) - x.square() * float(t)

    times = warped_times(9)
    wanted = odeint(lambda t, x: velocity(x, t), x, torch.tensor(times, dtype=torch.float64), method=name)[-1]
    torch.testing.assert_close(SOLVERS[name](velocity, x, times), wanted, rtol=1e-12, atol=1e-12)


def test_a_constant_velocity_is_exact_from_anywhere_to_anywhere():
    for solver in SOLVERS.values():
        assert solver(lambda x, t: torch.full_like(x, 3.0), torch.ones(2), [2.0, 1.0, -1.0]).tolist() == [-8.0, -8.0]
        assert solver(_decay, torch.ones(2), [0.5]).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("times", [even_times, warped_times])
def test_two_steps_are_of_second_order(times):
    exact = torch.tensor([math.e], dtype=torch.float64)
    start = torch.ones(1, dtype=torch.float64)
    errors = [(adams_bashforth(lambda x, t: x, start, times(points)) - exact).abs().item() for points in (161, 321)]
    assert errors[0] < 1e-3
    assert math.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.05)


def test_two_steps_see_a_velocity_that_changes_evenly_as_it_is():
    # By hand: the first step is Euler's, the second integrates the line through both velocities.
    calls = []

    def velocity(x, t):
        calls.append(t)
        return torch.full_like(x, 2 * t)

    assert adams_bashforth(velocity, torch.zeros(1), [1.0, 2.0, 5.0]).item() == pytest.approx(2 + 25 - 4)
    assert calls == [1.0, 2.0]


def test_times_begin_at_noise_and_end_at_data():
    assert even_times(5) == [0, 0.25, 0.5, 0.75, 1]
    assert warped_times(3) == pytest.approx([0, 1 - math.sqrt(0.5), 1])
    for points in (2, 3, 32, 257):
        times = warped_times(points)
        assert (len(times), times[0], times[-1]) == (points, 0.0, 1.0)
        assert times == sorted(times)
    with pytest.raises(UserError, match="1 points in time make no step"):
        warped_times(1)
