"""A rank on a node of its own, which writes and reads a checkpoint on a store: `... <rank> <world> <port> <uri>`."""

import json
import os
import sys

import torch.distributed as dist

from resp_agent.settings import TrainingSettings
from resp_agent.storage import local
from resp_agent.training.checkpoints import digests, verify, write_whole
from resp_agent.training.fit import fit, warm_constant
from tests.training.ranks import Rule, engine


def main() -> None:
    """Trains, saves twice to one name, forgets all that is here, goes on from the store, and prints both losses."""
    rank, world, port, uri = sys.argv[1:5]
    os.environ.update(RANK=rank, LOCAL_RANK="0", WORLD_SIZE=world, MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    training, folder = TrainingSettings(batch=16, steps=12, averaging=0.9, zero_stage=1), local(uri)
    trained = engine(training)
    fit(trained, Rule(), 0, 4, warm_constant(training))
    write_whole(folder, trained.save, {"step": 4})
    fit(trained, Rule(), 4, 8, warm_constant(training))
    here = write_whole(folder, trained.save, {"step": 8})
    own = sorted(path.name for path in folder.rglob("*") if path.is_file())
    more = fit(trained, Rule(), 8, 12, warm_constant(training))
    again = engine(training)
    verify(folder, digests(folder))
    again.load(folder)
    resumed = fit(again, Rule(), 8, 12, warm_constant(training))
    print(json.dumps({"own": own, "files": sorted(here), "more": more, "resumed": resumed}), flush=True)
    dist.barrier()


if __name__ == "__main__":
    main()
    # The libraries' threads do not always end in order.
    os._exit(0)
