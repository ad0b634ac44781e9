"""A made-up problem whose clips are offset, and a training on it that a test runs as one of several ranks:
`python -m tests.diagnoser.aligned_ranks <rank> <world> <port> <folder>`."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from resp_agent.diagnoser.batches import Batches
from resp_agent.diagnoser.inputs import Example, Inputs
from resp_agent.diagnoser.systems import build
from resp_agent.settings import DiagnoserSettings, TrainingSettings
from resp_agent.threads import set_threads
from resp_agent.training.engine import Engine
from resp_agent.training.fit import fit

BANDS = 8
INPUTS = Inputs(20.0, 40, ("a", "b", "c"), ("s",), (0.0,) * BANDS, (1.0,) * BANDS, (5, 3, 2), ("[UNK]", "x", "y"), 8)
SETTINGS = DiagnoserSettings(
    width=16, layers=1, heads=2, text_tokens=8, drop_text=0.2, alignment=1.0, training=TrainingSettings(batch=8)
)


def example(seed: int, synthetic: bool) -> Example:
    """Its label is a louder band among the first three; the last three of a clip are offset."""
    rng = np.random.default_rng(seed)
    frames = rng.standard_normal((30, BANDS)).astype(np.float32)
    label = seed % 3
    frames[:, label] += 0.4
    if synthetic:
        frames[:, -3:] += 1.0
    return Example(str(seed), frames, (label % 2,), label, 0, synthetic=synthetic)


def batches(settings: DiagnoserSettings, share: float = 0.5) -> Batches:
    """Of 60 recordings and 60 clips."""
    real = [example(seed, False) for seed in range(60)]
    clips = [example(seed, True) for seed in range(99, 159)]
    return Batches(INPUTS, settings, (0, "aligned"), real, clips, share)


def main() -> None:
    """Trains a few steps at ZeRO 0 and 2, and writes losses and average."""
    rank, world, port, folder = sys.argv[1:5]
    os.environ.update(RANK=rank, LOCAL_RANK="0", WORLD_SIZE=world, MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    for stage in (0, 2):
        training = TrainingSettings(batch=8, averaging=0.5, zero_stage=stage)
        # Without attention, whose key biases have no gradient but rounding, which Adam makes large.
        settings = replace(SETTINGS, system="cnn6", training=training)
        set_threads(1)
        torch.manual_seed(0)
        engine = Engine(build(settings, INPUTS), settings.training)
        # One clip in eight: most shards hold none.
        losses = fit(engine, batches(settings, share=1 / 8), 0, 6, lambda step: 1e-3)
        average = {name: value.tolist() for name, value in engine.averaged().items()}
        if rank == "0":
            Path(folder, f"{stage}.json").write_text(json.dumps({"losses": losses, "average": average}))


if __name__ == "__main__":
    main()
    # The work is done and written; the libraries' threads do not always end in order.
    os._exit(0)
