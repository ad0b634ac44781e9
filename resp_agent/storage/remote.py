"""Objects of a store, by pyarrow: list, upload, download, delete. What goes wrong becomes one sentence.

S3 is asked with the usual variables: AWS_ENDPOINT_URL, AWS_REGION or AWS_DEFAULT_REGION, and credentials by
AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or the machine's role; Google with
GOOGLE_APPLICATION_CREDENTIALS or the machine's service account.
"""

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from resp_agent.errors import RunFailed, UserError
from resp_agent.storage.places import ENDPOINT, endpoint

Answer = TypeVar("Answer")

CONNECT_S, SILENT_S, ATTEMPTS = 5.0, 7.0, 3
"""Time to reach a store, time in which it may send nothing, and how often a request is made: a store that is not there
is told within half a minute."""
PATIENCE_S, PAUSE_S = 20.0, 1.0
"""Time in which one that was there before, and fails at once, is asked again: it may be starting anew."""
_CREDENTIALS = re.compile(
    r"AWS Error (ACCESS_DENIED|INVALID_ACCESS_KEY_ID|INVALID_CLIENT_TOKEN_ID|MISSING_AUTHENTICATION_TOKEN|"
    r"INCOMPLETE_SIGNATURE|SIGNATURE_DOES_NOT_MATCH|UNRECOGNIZED_CLIENT|REQUEST_EXPIRED)"
    r"|ExceptionName: (ExpiredToken|InvalidToken)|\b(PERMISSION_DENIED|UNAUTHENTICATED)\b|OAuth2"
)
"""Of S3 and of Google, in what pyarrow says."""
_NETWORK = re.compile(r"NETWORK_CONNECTION|CURL error")


@dataclass(frozen=True)
class Object:
    """What a store says of an object."""

    size: int
    changed_s: int
    """When it was written, by the store's clock, in seconds since 1970."""


def objects(uri: str) -> dict[str, Object]:
    """Everything below a URI, by name relative to it; an object of that very name is there as ``."""
    system, path = reach(uri)

    def found() -> dict[str, Object]:
        own = system.get_file_info(path)
        if own.type == fs.FileType.File:
            return {"": _object(own)}
        if own.type == fs.FileType.NotFound:
            return {}
        selected = system.get_file_info(fs.FileSelector(path, recursive=True, allow_not_found=True))
        return {one.path[len(path) + 1 :]: _object(one) for one in selected if one.type == fs.FileType.File}

    return _ask(uri, found)


def names(uri: str) -> list[str]:
    """Names directly below a URI, of objects and of folders."""
    system, path = reach(uri)
    found = _ask(uri, lambda: system.get_file_info(fs.FileSelector(path, allow_not_found=True)))
    return sorted(one.base_name for one in found)


def upload(file: Path, uri: str) -> Object:
    """Makes a file an object, which is whole or not there."""
    system, path = reach(uri)
    here = fs.LocalFileSystem()
    _ask(uri, lambda: fs.copy_files(str(file), path, source_filesystem=here, destination_filesystem=system))
    return _object(_ask(uri, lambda: system.get_file_info(path)))


def download(uri: str, file: Path) -> None:
    """Makes an object a file."""
    system, path = reach(uri)
    here = fs.LocalFileSystem()
    _ask(uri, lambda: fs.copy_files(path, str(file), source_filesystem=system, destination_filesystem=here))


def read_table(uri: str, columns: Sequence[str]) -> pa.Table:
    """Columns of an object that is a Parquet file."""
    system, path = reach(uri)
    return _ask(uri, lambda: pq.read_table(path, columns=list(columns), filesystem=system))


def delete(uri: str) -> None:
    """Deletes an object, or everything below a URI; nothing if nothing is there."""
    system, path = reach(uri)
    kind = _ask(uri, lambda: system.get_file_info(path).type)
    if kind == fs.FileType.File:
        _ask(uri, lambda: system.delete_file(path))
    elif kind == fs.FileType.Directory:
        _ask(uri, lambda: system.delete_dir(path))


def _ask(uri: str, do: Callable[[], Answer]) -> Answer:
    """What `do` gives, asked for again where the store fails, as long as its patience lasts."""
    began = time.monotonic()
    while True:
        try:
            with _told(uri):
                return do()
        except RunFailed:
            if time.monotonic() - began > PATIENCE_S:
                raise
            time.sleep(PAUSE_S)


def _object(info: fs.FileInfo) -> Object:
    return Object(info.size or 0, (info.mtime_ns or 0) // 10**9)


def reach(uri: str) -> tuple[fs.FileSystem, str]:
    """The file system of a URI and the path in it.

    Raises:
        UserError: the bucket is not there, or not for these credentials.
        RunFailed: the store does not answer.
    """
    scheme, _, path = uri.partition("://")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""
    return _opened(scheme, path.split("/")[0], endpoint(scheme), region), path


@cache
def _opened(scheme: str, bucket: str, address: str, region: str) -> fs.FileSystem:
    """The file system of a bucket that is there: below one that is not, everything would look empty."""
    with _told(f"{scheme}://{bucket}"):
        system = _google() if scheme == "gs" else _s3(address, region or _region(bucket, address))
        kind = system.get_file_info(bucket).type
    if kind == fs.FileType.NotFound:
        raise UserError(
            f"there is no bucket {scheme}://{bucket}{_at(scheme)}: check its name"
            + (f" and {ENDPOINT}" if scheme == "s3" else "")
            + ", or create it"
        )
    return system


def _google() -> fs.FileSystem:
    # It goes on for up to twice as long.
    return fs.GcsFileSystem(retry_time_limit=timedelta(seconds=10))


def _s3(address: str, region: str) -> fs.FileSystem:
    parts = urlsplit(address if "://" in address else f"https://{address}")
    own = {"endpoint_override": f"{parts.netloc}{parts.path}".rstrip("/"), "scheme": parts.scheme} if address else {}
    return fs.S3FileSystem(
        **own,
        region=region,
        connect_timeout=CONNECT_S,
        request_timeout=SILENT_S,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
        # A small object is one request.
        allow_delayed_open=True,
    )


def _region(bucket: str, address: str) -> str:
    """Where nobody says it, Amazon knows where a bucket is, and other services do not mind."""
    return "us-east-1" if address else fs.resolve_s3_region(bucket)


@contextmanager
def _told(uri: str) -> Iterator[None]:
    """Makes one sentence of what a store says; files of this machine keep their own errors, which have a number."""
    try:
        yield
    except OSError as problem:
        if problem.errno is not None:
            raise
        raise _sentence(uri, str(problem)) from problem


def _sentence(uri: str, said: str) -> UserError | RunFailed:
    scheme = uri.partition("://")[0]
    reason = _reason(said)
    if _CREDENTIALS.search(said) and not _NETWORK.search(said):
        where = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" if scheme == "s3" else "GOOGLE_APPLICATION_CREDENTIALS"
        return UserError(
            f"{uri}{_at(scheme)} is refused ({reason}): check the credentials in {where}, and that they may read, "
            "write, list and delete there"
        )
    if "NO_SUCH_BUCKET" in said:
        return UserError(f"the bucket of {uri}{_at(scheme)} is gone ({reason}): create it")
    check = f"check {ENDPOINT} and the network" if scheme == "s3" else "check the network"
    return RunFailed(
        f"the storage {uri}{_at(scheme)} fails ({reason}): {check}; what was written stays, and a run goes on from it "
        "by --resume or by the same command"
    )


def _reason(said: str) -> str:
    """What a store said, without what only its keepers understand."""
    for start in ("Details: ", "error message was: ", "last message of ", "google::cloud::Status("):
        if start in said:
            said = said.partition(start)[2]
            break
    for end in (" (Request ID", " error_info="):
        said = said.partition(end)[0]
    return " ".join(said.split()).rstrip(" .")[:160]


def _at(scheme: str) -> str:
    address = endpoint(scheme)
    return f" at {address}" if address else ""
