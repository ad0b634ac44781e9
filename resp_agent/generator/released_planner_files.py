"""Reading the released planner, and keeping it as safetensors and JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from tokenizers import Tokenizer

from resp_agent.durable import write_atomic
from resp_agent.errors import UserError
from resp_agent.generator.released_planner import ReleasedPlanner
from resp_agent.generator.released_planner_settings import ReleasedPlannerSettings
from resp_agent.tensor_files import fill, named, read_plain, read_tensors, save_tensors, state_of

WEIGHTS, TOKENIZER = "planner.safetensors", "tokenizer.json"
"""Files of a planner that `save_planner` wrote."""
RELEASED = "planner.pth"
"""The released checkpoint in a folder."""
TOKENIZER_FOLDERS = ("planner_tokenizer", "tokenizer")
"""Where a released checkpoint's tokenizer is looked for beside it."""
HEAD, WORDS = "lm_head.weight", "model.embed_tokens.weight"


def import_planner(weights: Path, tokenizer: Path) -> tuple[ReleasedPlanner, dict[str, str]]:
    """The released planner, float32, in evaluation mode; and the tensors that were left out, with the reason.

    Args:
        weights: `planner.pth`: `model_state_dict` and, where it has one, `config`.
        tokenizer: folder of its tokenizer, or its `tokenizer.json`.

    Raises:
        UserError: a file is not there or not what it should be, or parameters are missing, too many or not finite.
    """
    held = read_plain(weights)
    state = state_of(held, "model_state_dict", weights, "planner")
    config, ignored = held.get("config"), {}
    if config is not None and not isinstance(config, Mapping):
        raise UserError(f"{weights} holds a {type(config).__name__} as config: it is not a released planner")
    settings = named(weights, lambda: ReleasedPlannerSettings.of(config, state))
    if settings.tie_word_embeddings and HEAD in state:
        if not torch.equal(state[HEAD], state[WORDS]):
            raise UserError(f"{weights} holds another {HEAD} than {WORDS}, which its config says are one")
        ignored[HEAD] = f"the same as {WORDS}"
        del state[HEAD]
    return _filled(settings, _tokenizer_json(tokenizer), state, weights), ignored


def save_planner(planner: ReleasedPlanner, folder: Path) -> None:
    """Writes a planner's two files into a folder."""
    write_atomic(folder / TOKENIZER, planner.tokenizer.to_str().encode())
    save_tensors(planner, "planner", asdict(planner.settings), folder / WEIGHTS)


def load_planner(path: Path) -> ReleasedPlanner:
    """A planner, float32, on the CPU, in evaluation mode.

    Args:
        path: a released `planner.pth` with its tokenizer beside it, or a folder with that or with what `save_planner`
            wrote.

    Raises:
        UserError: as in `import_planner`.
    """
    if path.is_dir() and (path / WEIGHTS).is_file():
        told, state = read_tensors(path / WEIGHTS, "planner")
        settings = named(path / WEIGHTS, lambda: ReleasedPlannerSettings(**told))
        return _filled(settings, _tokenizer_json(path), state, path / WEIGHTS)
    weights = path / RELEASED if path.is_dir() else path
    for name in TOKENIZER_FOLDERS:
        if (weights.parent / name).exists():
            return import_planner(weights, weights.parent / name)[0]
    raise UserError(f"there is no {' or '.join(TOKENIZER_FOLDERS)} beside {weights}: give the folder of a planner")


def _filled(settings: ReleasedPlannerSettings, tokenizer: str, state: Mapping, file: Path) -> ReleasedPlanner:
    def made() -> ReleasedPlanner:
        with torch.device("meta"):
            return ReleasedPlanner(settings, tokenizer)

    planner = fill(named(file, made), state, file, "planner")
    planner.refresh_positions()
    return planner


def _tokenizer_json(path: Path) -> str:
    file = path / TOKENIZER if path.is_dir() else path
    try:
        text = file.read_text(encoding="utf-8")
        Tokenizer.from_str(text)
    except OSError:
        raise UserError(f"{file} is not there: give the folder of the planner's tokenizer") from None
    except Exception as problem:
        # The library raises plain exceptions.
        raise UserError(f"{file} is not a tokenizer ({problem}): give the planner's own") from None
    return text
