"""Where Ray Train and Ray Tune keep their own notes."""

from pathlib import Path
from typing import Any

from resp_agent.storage.places import uri_of
from resp_agent.storage.remote import reach


def notes_in(folder: Path) -> dict[str, Any]:
    """Keywords of a RunConfig: a folder, or the store itself that it mirrors, which every node reaches."""
    uri = uri_of(folder)
    if uri is None:
        return {"storage_path": str(folder)}
    system, path = reach(uri)
    return {"storage_path": path, "storage_filesystem": system}
