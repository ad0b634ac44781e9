"""A small training that a test runs in processes of its own: `python -m tests.training.ranks <rank> <world> ...`."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from resp_agent.settings import TrainingSettings
from resp_agent.threads import set_threads
from resp_agent.training.checkpoints import write_whole
from resp_agent.training.engine import Engine
from resp_agent.training.fit import fit, warm_constant


class Regression(nn.Module):
    """Mean squared error of a small network on (x, y)."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 16), nn.GELU(), nn.Linear(16, 1))
        self.register_buffer("seen", torch.ones(2))

    def forward(self, batch):
        x, y = batch
        return (self.net(x.to(self.net[0].weight.dtype)).float()[:, 0] - y).square().mean()


class Rule:
    """y is the sum of x."""

    def examples(self, step):
        return list(np.random.default_rng(step).standard_normal((16, 4)).astype(np.float32))

    def collate(self, examples):
        x = torch.from_numpy(np.stack(examples))
        return x, x.sum(dim=1)


def engine(training: TrainingSettings) -> Engine:
    """The same weights every time."""
    set_threads(1)
    torch.manual_seed(0)
    return Engine(Regression(), training)


def main() -> None:
    """As one of several ranks, for each of some settings: trains 12 steps, saves, goes on from the checkpoint, and
    writes losses and average."""
    rank, world, port, folder, several = sys.argv[1:6]
    os.environ.update(RANK=rank, LOCAL_RANK="0", WORLD_SIZE=world, MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    for number, options in enumerate(json.loads(several)):
        result = _train(
            TrainingSettings(**{"batch": 16, "steps": 12, "averaging": 0.9, **options}), Path(folder, f"{number}")
        )
        if rank == "0":
            Path(folder, f"{number}.json").write_text(json.dumps(result))


def _train(training: TrainingSettings, folder: Path) -> dict:
    trained = engine(training)
    losses = fit(trained, Rule(), 0, 12, warm_constant(training))
    write_whole(folder, trained.save, {"step": 12})
    more = fit(trained, Rule(), 12, 16, warm_constant(training))
    again = engine(training)
    again.load(folder)
    resumed = fit(again, Rule(), 12, 16, warm_constant(training))
    averages = [{name: value.tolist() for name, value in each.averaged().items()} for each in (trained, again)]
    return {"losses": losses + more, "resumed": resumed, "average": averages[0], "average_resumed": averages[1]}


if __name__ == "__main__":
    main()
    # The work is done and written; the libraries' threads do not always end in order.
    os._exit(0)
