"""A diagnoser in a folder: what a checkpoint holds of it, and what is enough to use it anywhere."""

import json
import shutil
from pathlib import Path

from safetensors.torch import load_file

from resp_agent.diagnoser.classifier import Classifier
from resp_agent.diagnoser.inputs import FILE as INPUTS
from resp_agent.diagnoser.inputs import Inputs
from resp_agent.diagnoser.systems import build
from resp_agent.errors import UserError
from resp_agent.settings import Settings, from_plain, to_plain
from resp_agent.storage import fetch, shown
from resp_agent.training.checkpoints import digests, read_progress, verify, write_whole
from resp_agent.training.engine import AVERAGED

SETTINGS = "diagnoser.json"
_SAVED = ("preset", "seed", "threads", "simulation", "audio", "diagnoser")
"""Settings that say what a diagnoser is and hears; `simulation` and `seed` name its embedded corpus."""


def write_settings(folder: Path, settings: Settings) -> None:
    """Writes `diagnoser.json`."""
    plain = to_plain(settings)
    (folder / SETTINGS).write_text(json.dumps({name: plain[name] for name in _SAVED}, indent=1))


def read_settings(folder: Path) -> Settings:
    """The settings of a stored diagnoser; those of generator and curriculum are the preset's.

    Raises:
        UserError: they are not there, or are of another version.
    """
    try:
        stored = json.loads(fetch(folder / SETTINGS).read_text())
    except (OSError, ValueError):
        raise UserError(f"{shown(folder)} holds no diagnoser (it has no readable {SETTINGS}): {_WAY_OUT}") from None
    if set(stored) != set(_SAVED):
        raise UserError(f"the diagnoser in {folder} was written by another version: train it again")
    return from_plain(stored)


def load_diagnoser(folder: Path, settings: Settings | None = None) -> tuple[Classifier, Inputs, float]:
    """The averaged diagnoser of a folder, its inputs and its temperature.

    Args:
        folder: a checkpoint of the diagnoser, or what `export` wrote.
        settings: what it was trained with, where they are at hand; by default as they are stored.

    Raises:
        UserError: the folder holds no diagnoser, or one of another version.
    """
    folder = Path(folder)
    settings, progress = settings or read_settings(folder), read_progress(folder)
    if progress is None or not all(fetch(folder / name).is_file() for name in (AVERAGED, INPUTS)):
        raise UserError(f"{shown(folder)} holds no whole diagnoser: {_WAY_OUT}")
    inputs = Inputs.load(folder)
    # What training began with, a stem or a text model, need not be at hand any more.
    model = build(settings.diagnoser, inputs, weights_follow=True)
    model.load_state_dict(load_file(folder / AVERAGED))
    return model.eval(), inputs, progress["temperature"]


def export(checkpoint: Path, out: Path) -> None:
    """Writes what is enough to use the diagnoser of a checkpoint, verified: no optimizer, nothing to unpickle."""
    verify(checkpoint, digests(checkpoint))
    progress = read_progress(checkpoint)

    def copy(partial: Path) -> None:
        for name in (AVERAGED, INPUTS, SETTINGS):
            shutil.copyfile(checkpoint / name, partial / name)

    write_whole(out, copy, {name: progress[name] for name in ("step", "temperature")})


def find_diagnoser(path: Path) -> Path:
    """The folder of the diagnoser that a user means: the folder itself, or `model` in that of a training.

    Raises:
        UserError: neither holds one.
    """
    for folder in (path, path / "model"):
        if all(fetch(folder / name).is_file() for name in (SETTINGS, AVERAGED)):
            return folder
    raise UserError(f"{shown(path)} holds no diagnoser: {_WAY_OUT}")


_WAY_OUT = "give what `train diagnoser` printed as its model, or a checkpoint folder of a run"
