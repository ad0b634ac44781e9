"""Results as JSON, where a user wants them."""

import json
from typing import Any

from resp_agent.durable import write_atomic
from resp_agent.storage import local, shown


def written(place: str, data: Any) -> str:
    """Writes plain data to a path or a URI, whole or not at all; returns a line that says where it is."""
    path = local(place)
    write_atomic(path, (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode())
    return f"wrote {shown(path.resolve())}"
