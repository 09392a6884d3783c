# SPDX-License-Identifier: GPL-2.0-only
"""The states of files, cheap to ask for: they tell whether an answer, an object or a verdict still holds."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

Stamp = tuple[int, int]
"""Modification time in ns and size in bytes; (0, 0) stands for a file that is not there."""


def stamp(path: str | Path) -> Stamp:
    """The stamp of one file."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a thousand calls a build; Path costs more than the call
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)


def stamps(paths: Iterable[str | Path]) -> dict[str, Stamp]:
    """The stamp of each path."""
    return {str(path): stamp(path) for path in paths}


def digest(*parts: object) -> str:
    """A short name for anything with a stable `repr`."""
    return hashlib.sha256(repr(parts).encode(errors="surrogateescape")).hexdigest()[:32]
