"""Seeded streams: every draw is named by where it happens, so a restart repeats it."""

import hashlib

import numpy as np


def seed_of(*path: object) -> int:
    """A 64-bit seed from a path of plain values, such as (run seed, "round", 3, "request", 0, "clip", 1).

    The same path gives the same seed in every process and on every machine; different paths are independent, as long
    as no text in them holds a slash.
    """
    text = "/".join(f"{type(part).__name__}:{part}" for part in path)
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def stream(*path: object) -> np.random.Generator:
    """A NumPy generator for a path; see `seed_of`."""
    return np.random.Generator(np.random.PCG64(seed_of(*path)))


def digest(*parts: object, size: int = 16) -> str:
    """A hexadecimal content name of plain values, of `size` bytes."""
    hasher = hashlib.blake2b(digest_size=size)
    for part in parts:
        data = part if isinstance(part, bytes) else f"{type(part).__name__}:{part}".encode("utf-8", "surrogatepass")
        hasher.update(len(data).to_bytes(8, "little"))
        hasher.update(data)
    return hasher.hexdigest()
