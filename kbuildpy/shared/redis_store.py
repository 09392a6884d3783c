# SPDX-License-Identifier: GPL-2.0-only
"""Entries in a Redis server, by its own client: fsspec knows no Redis.

SET with NX stores whole or not at all, and only what is not there. Redis itself drops what was not used for long, where
it has `maxmemory` and `maxmemory-policy allkeys-lru`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from redis import Redis

from kbuildpy.shared.store import FOLDER, Stored

_REDIS: Any = Redis
_SECONDS = 10.0


class RedisStore:
    """The entries of the server and the database that `address` names."""

    def __init__(self, address: str) -> None:
        self._client: Any = _REDIS.from_url(address, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS)

    def get(self, key: str) -> bytes | None:
        """As `Store`."""
        stored: bytes | None = self._client.get(f"{FOLDER}:{key}")
        return stored

    def put(self, key: str, stored: bytes, *, replace: bool) -> None:
        """As `Store`."""
        self._client.set(f"{FOLDER}:{key}", stored, nx=not replace)

    def entries(self) -> Iterator[Stored]:
        """As `Store`."""
        now = time.time()
        for name in self._client.scan_iter(match=f"{FOLDER}:*", count=1000):
            idle = self._client.object("idletime", name)
            yield Stored(name.decode(), int(self._client.strlen(name)), now - float(idle or 0))

    def remove(self, name: str) -> None:
        """As `Store`."""
        self._client.delete(name)
