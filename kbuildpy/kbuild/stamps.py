# SPDX-License-Identifier: GPL-2.0-only
"""Stamps of files (modification time and size): they show whether an answer or an object is still up to date."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

Stamp = tuple[int, int]
"""Modification time in ns and size in bytes; (0, 0) for a missing file."""


def stamp(path: str | Path) -> Stamp:
    """The stamp of one file."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a thousand calls a build; Path costs more than the call
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)


GRAIN_NS = 20_000_000
"""Nanoseconds by which a file's times may lag behind the clock: twice the kernel's tick of up to 10 ms."""


def changed_since(path: str | Path, began_ns: int) -> bool:
    """Whether a file was or may have been written or moved here since `began_ns`; False for a missing file."""
    try:
        status = os.stat(path)  # noqa: PTH116 - as in `stamp`
    except OSError:
        return False
    return max(status.st_mtime_ns, status.st_ctime_ns) >= began_ns - GRAIN_NS


def stamps(paths: Iterable[str | Path]) -> dict[str, Stamp]:
    """The stamp of each path."""
    return {str(path): stamp(path) for path in paths}


def digest(*parts: object) -> str:
    """A digest of `parts`, whose `repr` must be stable: 32 hexadecimal digits of SHA-256, for a file name or a key."""
    from hashlib import sha256  # (slow)

    return sha256(repr(parts).encode(errors="surrogateescape")).hexdigest()[:32]
