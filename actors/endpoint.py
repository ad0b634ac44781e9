"""The place that RAY_ADDRESS names, and whether anything listens there. Knows no Ray, so that asking starts none."""

import socket
from urllib.parse import urlsplit

CONNECT_TIMEOUT_S = 3.0

OWN = ("", "local")
"""Values of RAY_ADDRESS with which a run starts a Ray of its own."""


def endpoint(address: str) -> tuple[str, int]:
    """(host, port) of "host:port", "ray://host:port" or "http(s)://host:port".

    Raises:
        ValueError: it is none of these; says why.
    """
    parts = urlsplit(address if "://" in address else f"gcs://{address}")
    if parts.scheme not in ("gcs", "ray", "http", "https"):
        raise ValueError(f"{parts.scheme}:// is no way to reach Ray")
    port = parts.port or {"ray": 10001, "http": 80, "https": 443}.get(parts.scheme)
    if not parts.hostname or not port:
        raise ValueError("it names no host and port")
    return parts.hostname, port


def refusal(host: str, port: int) -> str | None:
    """Why nothing answers there, or None if something does. Takes at most 3 seconds."""
    try:
        socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S).close()
    except OSError as error:
        return error.strerror or str(error) or type(error).__name__
    return None
