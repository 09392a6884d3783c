# SPDX-License-Identifier: GPL-2.0-only
"""What holds the entries of a shared cache, by their keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

FOLDER = "kbuildpy-1"
"""The folder, or the first part of a name, of our entries in a store; the number is that of the format."""


class Stored(NamedTuple):
    """An entry that is there."""

    name: str
    """Its name in the store."""
    size: int
    """Bytes."""
    used: float
    """When it was last read, or else written, in seconds since 1970."""


class Store(Protocol):
    """A place for entries. Its functions raise any exception of their library's; several threads call them."""

    def get(self, key: str) -> bytes | None:
        """The bytes under `key`, at most `entry.MOST_BYTES` and a little; None if there are none."""

    def put(self, key: str, stored: bytes, *, replace: bool) -> None:
        """Store bytes under `key`, whole or not at all; what is there stays, unless `replace`."""

    def entries(self) -> Iterator[Stored]:
        """All entries. Raises `KbuildError` if the store cannot tell."""

    def remove(self, name: str) -> None:
        """Remove an entry, by its name in the store; one that is gone is no error."""


def path_of(key: str) -> str:
    """The path of an entry below the store, where a store has folders."""
    return f"{FOLDER}/{key[:2]}/{key}"
