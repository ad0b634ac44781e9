import numpy as np
import pytest
import torch

from resp_agent.generator.flow import Flow, FlowBatch, Tokens
from resp_agent.generator.solver import euler, even_times, midpoint, warped_times
from resp_agent.settings import FlowSettings

MEAN, SD = 1.5, 0.4
START = 0.6
"""Standard deviation of drafts; with noise of deviation 0.8 that of the start is 1."""


def model(dimensions: int = 3, **changes) -> Flow:
    torch.manual_seed(0)
    return Flow(FlowSettings(width=16, layers=1, heads=2, **changes), dimensions, 4)


def batch(lengths=(5, 3), dimensions: int = 3, seed: int = 0) -> FlowBatch:
    draw, longest = torch.Generator().manual_seed(seed), max(lengths)
    shape = (len(lengths), longest, dimensions)
    return FlowBatch(
        target=torch.randn(shape, generator=draw),
        draft=torch.randn(shape, generator=draw),
        noise=torch.randn(shape, generator=draw),
        style=torch.randn((len(lengths), 4), generator=draw),
        time=torch.rand(len(lengths), generator=draw),
        drop=torch.zeros(len(lengths), dtype=torch.bool),
        mask=torch.arange(longest)[None] < torch.tensor(lengths)[:, None],
    )


def awake(flow: Flow) -> Flow:
    """Zero-initialised layers would hide what they are fed."""
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return flow


@pytest.mark.slow
def test_learns_the_velocity_of_a_gaussian():
    torch.manual_seed(0)
    how = FlowSettings(width=32, layers=1, heads=2, solver_steps=32, noise=0.8)
    flow = Flow(how, 1, 4)
    optimizer = torch.optim.Adam(flow.parameters(), 5e-3)
    rng = np.random.default_rng(0)

    def drawn(count: int) -> FlowBatch:
        normal = rng.standard_normal((2, count, 1, 1)).astype(np.float32)
        return FlowBatch(
            torch.from_numpy(MEAN + SD * normal[0]),
            torch.from_numpy(START * normal[1]),
            torch.from_numpy(rng.standard_normal((count, 1, 1)).astype(np.float32)),
            torch.zeros(count, 4),
            torch.from_numpy(rng.random(count).astype(np.float32)),
            torch.zeros(count, dtype=torch.bool),
            torch.ones(count, 1, dtype=torch.bool),
        )

    for _ in range(600):
        optimizer.zero_grad()
        flow(drawn(256)).backward()
        optimizer.step()
    noise = torch.from_numpy(rng.standard_normal((2000, 1, 1)).astype(np.float32))
    one = drawn(2000)
    made = flow.sample(one.draft, one.style, noise, how)
    assert abs(float(made.mean()) - MEAN) < 0.1
    assert abs(float(made.std()) - SD) < 0.1


def test_padding_reaches_neither_loss_nor_velocity():
    flow, long = awake(model()), batch((5, 3))
    spoiled = FlowBatch(
        **{**vars(long), "target": long.target.clone(), "noise": long.noise.clone(), "draft": long.draft.clone()}
    )
    spoiled.target[1, 3:], spoiled.noise[1, 3:], spoiled.draft[1, 3:] = 99.0, -99.0, 50.0
    np.testing.assert_allclose(flow(long).item(), flow(spoiled).item(), rtol=1e-5)
    short = FlowBatch(
        **{
            name: value[1:, :3] if value.ndim > 1 and name != "style" else value[1:]
            for name, value in vars(long).items()
        }
    )
    alone = flow.velocity(short.draft, short.time, short.style, short.drop)
    padded = flow.velocity(spoiled.draft, long.time, long.style, long.drop, long.mask)
    np.testing.assert_allclose(padded[1:, :3].detach(), alone.detach(), atol=1e-4)


def test_loss_of_a_batch_is_the_mean_of_its_parts():
    flow, whole = awake(model()), batch((5, 3, 4, 2))
    parts = [
        FlowBatch(**{name: value[half] for name, value in vars(whole).items()}) for half in (slice(0, 2), slice(2, 4))
    ]
    np.testing.assert_allclose(flow(whole).item(), np.mean([flow(part).item() for part in parts]), rtol=1e-5)


def test_style_and_its_absence_matter():
    flow, one = awake(model()), batch((5, 5))
    base = flow.velocity(one.draft, one.time, one.style, one.drop)
    for change in ({"style": one.style + 1}, {"drop": ~one.drop}):
        given = {"style": one.style, "drop": one.drop, **change}
        assert not torch.allclose(base, flow.velocity(one.draft, one.time, **given), atol=1e-3)
    withheld = flow.velocity(one.draft, one.time, one.style, ~one.drop)
    assert torch.equal(withheld, flow.velocity(one.draft, one.time, one.style + 1, ~one.drop))


def test_noise_is_added_to_the_draft_as_much_as_settings_say():
    one = batch((5, 5))
    for noise in (0.0, 0.5):
        flow = awake(model(noise=noise))
        how = FlowSettings(solver_steps=2, noise=noise)
        start = one.draft + noise * one.noise
        moved = flow.sample(one.draft, one.style, one.noise, how)
        expected = flow.sample(start, one.style, one.noise, FlowSettings(solver_steps=2))
        assert torch.equal(moved, expected)
        t = one.time[:, None, None]
        predicted = flow.velocity((1 - t) * start + t * one.target, one.time, one.style, one.drop, one.mask)
        error = ((predicted - one.target + start).square().mean(-1) * one.mask).sum(1) / one.mask.sum(1)
        np.testing.assert_allclose(flow(one).item(), error.mean().item(), rtol=1e-5)


def test_a_pull_is_added_to_the_velocity_late_in_the_path():
    flow, one = awake(model()), batch((5, 5))
    how, told = FlowSettings(solver_steps=4), []

    def pull(estimate):
        told.append(estimate)
        return torch.full_like(estimate, 0.25)

    moved = flow.sample(one.draft, one.style, one.noise, how, pull)
    assert len(told) == 2  # At 0.5 and 0.75.

    def slow(x, t):
        velocity = flow.velocity(x, x.new_full((2,), t), one.style, one.drop)
        return velocity + (0.25 if t >= 0.5 else 0)

    with torch.no_grad():
        np.testing.assert_allclose(moved, euler(slow, one.draft, even_times(5)), atol=1e-5)
        at_half = euler(slow, one.draft, [0, 0.25, 0.5])
        expected = at_half + 0.5 * flow.velocity(at_half, one.time.new_full((2,), 0.5), one.style, one.drop)
    np.testing.assert_allclose(told[0], expected, atol=1e-5)


@pytest.mark.parametrize("guidance", [1.0, 2.5])
@pytest.mark.parametrize("solver", [euler, midpoint])
@pytest.mark.parametrize("times", [even_times, warped_times])
def test_guidance_in_one_batch_equals_two_passes(guidance, solver, times):
    flow, one = awake(model()), batch((5, 5))
    how = FlowSettings(solver=solver.__name__, solver_steps=3, guidance=guidance, warp=times is warped_times)
    guided = flow.sample(one.draft, one.style, one.noise, how)

    def slow(x, t):
        time = x.new_full((2,), t)
        with_it = flow.velocity(x, time, one.style, one.drop)
        without = flow.velocity(x, time, one.style, ~one.drop)
        return without + guidance * (with_it - without)

    with torch.inference_mode():
        np.testing.assert_allclose(guided, solver(slow, one.draft, times(4)), atol=1e-3)


def test_tokens_round_trip_where_nothing_is_left_out():
    normal = np.random.default_rng(0).standard_normal((41, 4)).astype(np.float32)
    tokens = Tokens.fit([normal], 2, 8)
    coordinates = tokens.encode(normal)
    assert coordinates.shape == (21, 8)
    np.testing.assert_allclose(coordinates[:20].std(0), 1, atol=0.2)
    np.testing.assert_allclose(tokens.decode(coordinates, np.zeros_like(normal)), normal, atol=1e-4)


def test_what_tokens_leave_out_stays_the_draft_s():
    rng = np.random.default_rng(0)
    normal, draft = rng.standard_normal((2, 400, 4)).astype(np.float32)
    tokens = Tokens.fit([normal], 2, 5)
    np.testing.assert_allclose(tokens.decode(tokens.encode(draft), draft), draft, atol=1e-5)
    made = tokens.decode(tokens.encode(normal), draft)
    np.testing.assert_allclose(tokens.encode(made), tokens.encode(normal), atol=1e-4)
    rest = (made - draft).reshape(200, 8)
    # The change lies in the span of the coordinates.
    np.testing.assert_allclose(rest @ tokens.basis.T @ tokens.basis, rest, atol=1e-4)
