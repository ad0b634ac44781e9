import numpy as np
import pytest
import torch

from resp_agent.generator.flow import Flow, FlowBatch, Tokens, euler
from resp_agent.settings import FlowSettings

MEAN, SD = 1.5, 0.4


def gaussian_velocity(x: torch.Tensor, t: float) -> torch.Tensor:
    """E[data - noise | x_t] for data ~ N(MEAN, SD^2): what a flow matched to a Gaussian must predict."""
    variance = (1 - t) ** 2 + (t * SD) ** 2
    return MEAN + (t * SD**2 - (1 - t)) / variance * (x - t * MEAN)


def model(units: int = 6, dimensions: int = 3, **changes) -> Flow:
    torch.manual_seed(0)
    return Flow(
        FlowSettings(width=16, layers=1, heads=2, **changes), units, dimensions, 4, np.eye(units, 5, dtype=np.float32)
    )


def batch(lengths=(5, 3), dimensions: int = 3, seed: int = 0) -> FlowBatch:
    draw, longest = torch.Generator().manual_seed(seed), max(lengths)
    shape = (len(lengths), longest, dimensions)
    return FlowBatch(
        target=torch.randn(shape, generator=draw),
        noise=torch.randn(shape, generator=draw),
        units=torch.randint(6, (len(lengths), longest, 2), generator=draw),
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


@pytest.mark.parametrize(("steps", "error"), [(8, 0.2), (256, 0.01)])
def test_euler_carries_noise_to_a_gaussian(steps, error):
    """Along the exact velocity, x_1 = MEAN + SD x_0: the ODE is linear and its solution is known."""
    noise = torch.randn(1000, generator=torch.Generator().manual_seed(0)).double()
    made = euler(gaussian_velocity, noise, steps)
    assert float((made - (MEAN + SD * noise)).abs().max()) < error * float(noise.abs().max())


def test_euler_is_exact_for_a_constant_velocity():
    np.testing.assert_allclose(euler(lambda x, t: torch.full_like(x, 2.0), torch.zeros(3), 7), 2.0, rtol=1e-6)


@pytest.mark.slow
def test_learns_the_velocity_of_a_gaussian():
    torch.manual_seed(0)
    flow = Flow(FlowSettings(width=32, layers=1, heads=2), 2, 1, 4)
    optimizer = torch.optim.Adam(flow.parameters(), 5e-3)
    rng = np.random.default_rng(0)

    def drawn(count: int) -> FlowBatch:
        normal = rng.standard_normal((2, count, 1, 1)).astype(np.float32)
        return FlowBatch(
            torch.from_numpy(MEAN + SD * normal[0]),
            torch.from_numpy(normal[1]),
            torch.zeros(count, 1, 2, dtype=torch.long),
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
    made = flow.sample(one.units, one.style, noise, 32, 1.0)
    assert abs(float(made.mean()) - MEAN) < 0.1
    assert abs(float(made.std()) - SD) < 0.1


def test_padding_reaches_neither_loss_nor_velocity():
    flow, long = awake(model()), batch((5, 3))
    spoiled = FlowBatch(
        **{**vars(long), "target": long.target.clone(), "noise": long.noise.clone(), "units": long.units.clone()}
    )
    spoiled.target[1, 3:], spoiled.noise[1, 3:], spoiled.units[1, 3:] = 99.0, -99.0, 1
    np.testing.assert_allclose(flow(long).item(), flow(spoiled).item(), rtol=1e-5)
    short = FlowBatch(
        **{
            name: value[1:, :3] if value.ndim > 1 and name != "style" else value[1:]
            for name, value in vars(long).items()
        }
    )
    alone = flow.velocity(short.noise, short.time, short.units, short.style, short.drop)
    padded = flow.velocity(long.noise, long.time, long.units, long.style, long.drop, long.mask)
    np.testing.assert_allclose(padded[1:, :3].detach(), alone.detach(), atol=1e-4)


def test_loss_of_a_batch_is_the_mean_of_its_parts():
    flow, whole = awake(model()), batch((5, 3, 4, 2))
    parts = [
        FlowBatch(**{name: value[half] for name, value in vars(whole).items()}) for half in (slice(0, 2), slice(2, 4))
    ]
    np.testing.assert_allclose(flow(whole).item(), np.mean([flow(part).item() for part in parts]), rtol=1e-5)


def test_units_style_and_their_absence_matter():
    flow, one = awake(model()), batch((5, 5))
    base = flow.velocity(one.noise, one.time, one.units, one.style, one.drop)
    for change in ({"units": (one.units + 1) % 6}, {"style": one.style + 1}, {"drop": ~one.drop}):
        given = {"units": one.units, "style": one.style, "drop": one.drop, **change}
        assert not torch.allclose(base, flow.velocity(one.noise, one.time, **given), atol=1e-3)
    withheld = flow.velocity(one.noise, one.time, one.units, one.style, ~one.drop)
    other = flow.velocity(one.noise, one.time, (one.units + 1) % 6, one.style + 1, ~one.drop)
    assert torch.equal(withheld, other)


def test_unit_embeddings_are_trained():
    flow, one = awake(model()), batch()
    flow(one).backward()
    assert flow.units.weight.grad.abs().sum() > 0


def test_guidance_in_one_batch_equals_two_passes():
    flow, one = awake(model()), batch((5, 5))
    guided = flow.sample(one.units, one.style, one.noise, 3, 2.5)

    def slow(x, t):
        time = x.new_full((2,), t)
        with_it = flow.velocity(x, time, one.units, one.style, one.drop)
        without = flow.velocity(x, time, one.units, one.style, ~one.drop)
        return without + 2.5 * (with_it - without)

    with torch.inference_mode():
        np.testing.assert_allclose(guided, euler(slow, one.noise, 3), atol=1e-3)


def test_tokens_round_trip_where_nothing_is_left_out():
    normal = np.random.default_rng(0).standard_normal((41, 4)).astype(np.float32)
    tokens = Tokens.fit([normal], 2, 8)
    coordinates = tokens.encode(normal, 2)
    assert coordinates.shape == (21, 8)
    np.testing.assert_allclose(coordinates[:20].std(0), 1, atol=0.2)
    np.testing.assert_allclose(tokens.decode(coordinates, 2, np.random.default_rng(1))[:41], normal, atol=1e-4)


def test_what_tokens_leave_out_is_drawn_with_its_own_deviation():
    normal = np.random.default_rng(0).standard_normal((4000, 4)).astype(np.float32)
    tokens = Tokens.fit([normal], 2, 3)
    made = tokens.decode(tokens.encode(normal, 2), 2, np.random.default_rng(1))
    np.testing.assert_allclose(made.std(0), normal.std(0), rtol=0.1)
