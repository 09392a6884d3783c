# SPDX-License-Identifier: GPL-2.0-only
"""Signatures of the files of a build directory's graph, remembered, so that an unchanged file need not be read.

SCons can decide by content, which reads every file in every build, or by time and then content, in whole seconds: a
build that takes half a second misses what it has made itself a moment before. Here a file is taken for unchanged
when its time, to the nanosecond, and its size are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kbuildpy.kernel.cache import read_json, write_json


class Contents:
    """Signatures of contents, kept in `path` from one run to the next."""

    def __init__(self, path: Path) -> None:
        self._path = path
        value = read_json(path)
        self._known: dict[str, list[Any]] = value if isinstance(value, dict) else {}
        self._changed = False

    def signature(self, node: Any) -> str:
        """SCons' signature of the content of a File node."""
        status = node.stat()
        if status is None:
            return str(node.get_csig())
        name = node.get_internal_path()
        entry = self._known.get(name)
        if entry is None or entry[0] != status.st_mtime_ns or entry[1] != status.st_size:
            entry = self._known[name] = [status.st_mtime_ns, status.st_size, node.get_content_hash()]
            self._changed = True
        return str(entry[2])

    def save(self) -> None:
        """Write the signatures that were new in this run."""
        if self._changed:
            write_json(self._path, self._known)
            self._changed = False
