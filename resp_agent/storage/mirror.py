"""Mirrors and what they mirror, made the same in either direction.

A file counts as the same as its object if size and time are: a file that is fetched or published is given the object's
time, as rsync does. Stores tell whole seconds, and what is small may be written twice within one: it is fetched always.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from resp_agent.storage import remote
from resp_agent.storage.places import uri_of

Item, Result = TypeVar("Item"), TypeVar("Result")

SMALL_BYTES = 2**16
AT_ONCE = 8
"""Transfers of a folder's files."""


def fetch(path: Path, prune: bool = True) -> Path:
    """Makes a mirrored file or folder what the store holds, and gives it back.

    Args:
        prune: what the store does not hold is removed, but for files that somebody is writing (their names begin with
            a dot). False for folders to which others add meanwhile.

    Raises:
        UserError: the bucket is not there, or refuses these credentials.
        RunFailed: the store does not answer.
    """
    uri = uri_of(path)
    if uri is None:
        return path
    found = remote.objects(uri)
    if "" in found:
        _download(uri, path, found[""])
        return path
    if prune:
        for file in [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]:
            if not file.name.startswith(".") and file.relative_to(path).as_posix() not in found:
                file.unlink(missing_ok=True)
    _all(lambda name: _download(f"{uri}/{name}", path / name, found[name]), found)
    return path


def publish(path: Path, at: Path | None = None, seal: str | None = None) -> None:
    """Puts a file, or a folder whole, on the store; nothing where it mirrors nothing.

    Args:
        at: what it will be called here; by default as it is.
        seal: the name of the file in a folder that says that it is whole: the first to go and the last to come.

    Raises:
        UserError: the bucket is not there, or refuses these credentials.
        RunFailed: the store does not answer.
    """
    uri = uri_of(at or path)
    if uri is None:
        return
    if path.is_file():
        _upload(path, uri)
        return
    names = {file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()}
    if seal:
        remote.delete(f"{uri}/{seal}")
    _all(lambda name: _upload(path / name, f"{uri}/{name}"), names - {seal})
    _all(lambda name: remote.delete(f"{uri}/{name}"), remote.objects(uri).keys() - names)
    if seal:
        _upload(path / seal, f"{uri}/{seal}")


def remove(path: Path, seal: str | None = None) -> None:
    """Removes a file or a folder, here and on the store that it mirrors; the `seal` of a folder first."""
    forget(path, seal)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def forget(path: Path, seal: str | None = None) -> None:
    """Removes from the store what a path mirrors there, as `remove` does, and nothing here."""
    uri = uri_of(path)
    if uri and seal:
        remote.delete(f"{uri}/{seal}")
    if uri:
        remote.delete(uri)


def children(folder: Path) -> list[Path]:
    """What a folder holds, here or on the store, in the order of names."""
    here = {path.name for path in folder.glob("*")}
    uri = uri_of(folder)
    return [folder / name for name in sorted(here.union(remote.names(uri) if uri else ()))]


def stored(folder: Path) -> set[Path]:
    """Everything that the store holds below a mirrored folder."""
    return {folder / name for name in remote.objects(uri_of(folder))}


def read_tables(paths: Sequence[Path], columns: Sequence[str]) -> Iterator[pa.Table]:
    """Columns of Parquet files, in the order of these; of those on a store nothing else is transferred."""

    def read(path: Path) -> pa.Table:
        uri = uri_of(path)
        if uri is None:
            return pq.read_table(path, columns=columns)
        return remote.read_table(uri, columns)

    yield from _each(read, paths)


def _upload(file: Path, uri: str) -> None:
    _stamp(file, remote.upload(file, uri))


def _download(uri: str, path: Path, there: remote.Object) -> None:
    try:
        state = path.stat()
        if there.size > SMALL_BYTES and (state.st_size, int(state.st_mtime)) == (there.size, there.changed_s):
            return
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        remote.download(uri, temporary)
        _stamp(temporary, there)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _stamp(file: Path, there: remote.Object) -> None:
    os.utime(file, (there.changed_s, there.changed_s))


def _each(do: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """What `do` gives for each, in their order, some at once; after a failure none is begun."""
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        yield from pool.map(do, items)
    finally:
        pool.shutdown(cancel_futures=True)


def _all(do: Callable[[str], Any], names: Iterable[str]) -> None:
    for _ in _each(do, sorted(names)):
        pass
