import numpy as np
import pytest
import torch

from resp_agent.generator.flow import Flow, FlowBatch, Tokens
from resp_agent.generator.solver import euler, even_times, midpoint, warped_times
from resp_agent.settings import FlowSettings

MEAN, SD = 1.5, 0.4


def model(dimensions: int = 3, **changes) -> Flow:
    torch.manual_seed(0)
    return Flow(FlowSettings(width=16, layers=1, heads=2, **changes), dimensions, 4)


def batch(lengths=(5, 3), dimensions: int = 3, seed: int = 0) -> FlowBatch:
    draw, longest = torch.Generator().manual_seed(seed), max(lengths)
    shape = (len(lengths), longest, dimensions)
    return FlowBatch(
        target=torch.randn(shape, generator=draw),
        noise=torch.randn(shape, generator=draw),
        draft=torch.randn(shape, generator=draw),
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
    how = FlowSettings(width=32, layers=1, heads=2, solver_steps=32)
    flow = Flow(how, 1, 4)
    optimizer = torch.optim.Adam(flow.parameters(), 5e-3)
    rng = np.random.default_rng(0)

    def drawn(count: int) -> FlowBatch:
        normal = rng.standard_normal((2, count, 1, 1)).astype(np.float32)
        return FlowBatch(
            torch.from_numpy(MEAN + SD * normal[0]),
            torch.from_numpy(normal[1]),
            torch.zeros(count, 1, 1),
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
    alone = flow.velocity(short.noise, short.time, short.draft, short.style, short.drop)
    padded = flow.velocity(long.noise, long.time, long.draft, long.style, long.drop, long.mask)
    np.testing.assert_allclose(padded[1:, :3].detach(), alone.detach(), atol=1e-4)


def test_loss_of_a_batch_is_the_mean_of_its_parts():
    flow, whole = awake(model()), batch((5, 3, 4, 2))
    parts = [
        FlowBatch(**{name: value[half] for name, value in vars(whole).items()}) for half in (slice(0, 2), slice(2, 4))
    ]
    np.testing.assert_allclose(flow(whole).item(), np.mean([flow(part).item() for part in parts]), rtol=1e-5)


def test_draft_style_and_their_absence_matter():
    flow, one = awake(model()), batch((5, 5))
    base = flow.velocity(one.noise, one.time, one.draft, one.style, one.drop)
    for change in ({"draft": one.draft + 1}, {"style": one.style + 1}, {"drop": ~one.drop}):
        given = {"draft": one.draft, "style": one.style, "drop": one.drop, **change}
        assert not torch.allclose(base, flow.velocity(one.noise, one.time, **given), atol=1e-3)
    withheld = flow.velocity(one.noise, one.time, one.draft, one.style, ~one.drop)
    other = flow.velocity(one.noise, one.time, one.draft + 1, one.style + 1, ~one.drop)
    assert torch.equal(withheld, other)


@pytest.mark.parametrize("guidance", [1.0, 2.5])
@pytest.mark.parametrize("solver", [euler, midpoint])
@pytest.mark.parametrize("times", [even_times, warped_times])
def test_guidance_in_one_batch_equals_two_passes(guidance, solver, times):
    flow, one = awake(model()), batch((5, 5))
    how = FlowSettings(solver=solver.__name__, solver_steps=3, guidance=guidance, warp=times is warped_times)
    guided = flow.sample(one.draft, one.style, one.noise, how)

    def slow(x, t):
        time = x.new_full((2,), t)
        with_it = flow.velocity(x, time, one.draft, one.style, one.drop)
        without = flow.velocity(x, time, one.draft, one.style, ~one.drop)
        return without + guidance * (with_it - without)

    with torch.inference_mode():
        np.testing.assert_allclose(guided, solver(slow, one.noise, times(4)), atol=1e-3)


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
