"""Names of places: a path, `file:///path`, `s3://bucket/key` or `gs://bucket/key`; and where this machine has them."""

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from resp_agent.errors import UserError

SCHEMES = ("s3", "gs")
"""Of object stores."""
ENDPOINT = "AWS_ENDPOINT_URL"
"""Variable with the address of a service that speaks S3, if it is not Amazon's; AWS_ENDPOINT_URL_S3 comes before it."""
CACHE = "RESP_AGENT_CACHE"
_MIRROR = "resp-agent-mirror"
_URI = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.DOTALL)


def is_remote(place: str | Path) -> bool:
    """Whether a place, as a user writes it, is on an object store."""
    found = _URI.fullmatch(str(place))
    return bool(found) and found[1] in SCHEMES


def local(place: str | Path) -> Path:
    """Where a place is on this machine: of one on an object store its mirror, below RESP_AGENT_CACHE (by default
    ~/.cache/resp-agent).

    Raises:
        UserError: it is no place of a kind that there is.
    """
    found = _URI.fullmatch(str(place))
    if not found:
        return Path(place)
    scheme, rest = found.groups()
    if scheme == "file":
        parts = urlsplit(str(place))
        if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
            raise UserError(f"{place} names no absolute path: write file:///path, or the path alone")
        return Path(unquote(parts.path))
    if scheme not in SCHEMES:
        raise UserError(f"{place} cannot be read or written: give a path, file://, s3:// or gs://")
    bucket, *key = rest.split("/")
    if not bucket or {".", ".."} & {bucket, *key}:
        raise UserError(f"{place} names no place on an object store: write {scheme}://bucket/name")
    return _cache() / _MIRROR / scheme / _service(scheme) / bucket / Path(*key)


def scratch(name: str) -> Path:
    """A folder of this machine for work that is nobody else's; beside the mirrors."""
    return _cache() / "scratch" / name


def uri_of(path: Path | str) -> str | None:
    """The URI of what a path mirrors; None of a path that mirrors nothing."""
    parts = Path(path).parts
    scheme, _, *names = [*parts[parts.index(_MIRROR) + 1 :], None, None] if _MIRROR in parts else [None, None]
    names = [name for name in names if name]
    return f"{scheme}://{'/'.join(names)}" if scheme in SCHEMES and names else None


def is_mirror(path: Path | str) -> bool:
    """Whether a path mirrors something on an object store."""
    return uri_of(path) is not None


def shown(path: Path | str) -> str:
    """A path as a user knows it: the URI of what it mirrors, or itself."""
    return uri_of(path) or str(path)


def endpoint(scheme: str) -> str:
    """The address of who keeps the buckets; empty for the one that the scheme is named after."""
    return (os.environ.get(f"{ENDPOINT}_S3") or os.environ.get(ENDPOINT) or "") if scheme == "s3" else ""


def absolute(place: str) -> str:
    """A place as any working directory understands it."""
    return place if is_remote(place) else os.path.abspath(local(place))


def _cache() -> Path:
    return Path(os.environ.get(CACHE) or Path.home() / ".cache" / "resp-agent").absolute()


def _service(scheme: str) -> str:
    """A folder's name for who keeps the buckets: those of two services may have one name."""
    address = endpoint(scheme)
    return re.sub(r"[^\w.-]+", "_", address.partition("://")[2] or address) or "default"
