# SPDX-License-Identifier: GPL-2.0-only
"""Lines of the files that findings are in, each file read once.

A source may say that its lines are of any file (`#line 1 "/dev/zero"`), so only regular files of a source's size are
read.
"""

from __future__ import annotations

import os
from pathlib import Path

from kbuildpy.files import open_regular

_LIMIT = 1 << 24
"""Bytes of the largest source that is read."""


class SourceLines:
    """The texts of lines, by file and number."""

    def __init__(self) -> None:
        self._files: dict[str, list[str]] = {}

    def text(self, path: str, number: int) -> str:
        """The line `number` (from 1 on) of a file; "" where there is none."""
        if path not in self._files:
            self._files[path] = _lines_of(path)
        lines = self._files[path]
        return lines[number - 1] if 0 < number <= len(lines) else ""

    def character(self, path: str, number: int, column: int, tab_width: int) -> int:
        """The character (from 1 on) that is at a `column` of a line, in which a tab reaches to the next multiple of
        `tab_width`; for lines that are not there, the column."""
        at = 0
        for count, character in enumerate(self.text(path, number), 1):
            at += tab_width - at % tab_width if character == "\t" else 1
            if at >= column:
                return count
        return column


def _lines_of(path: str) -> list[str]:
    try:
        with os.fdopen(open_regular(Path(path)), "rb") as file:
            content = file.read(_LIMIT + 1)
    except OSError:
        return []
    return content.decode(errors="surrogateescape").split("\n") if len(content) <= _LIMIT else []
