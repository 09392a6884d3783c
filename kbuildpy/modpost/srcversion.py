# SPDX-License-Identifier: GPL-2.0-only
"""The srcversion of a module (scripts/mod/sumversion.c): a checksum over its own sources.

White space, comments and line continuations do not count, strings do to the letter. The surprises are the C
code's: a `//` comment counts, `/*/` is a whole comment, a quote in a character constant opens a string,
and a file ends at its first NUL byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from kbuildpy.modpost.diagnostics import Log
from kbuildpy.modpost.md4 import srcversion_digest
from kbuildpy.modpost.records import ObjectRecord, recorded_sources


class SourceReader:
    """Reads sources and keeps what counts of them: headers are shared by the objects of a directory. `find` says
    where the source at a path really is."""

    def __init__(self, cwd: Path, find: Callable[[str], str] = str) -> None:
        self._cwd = cwd
        self._find = find
        self._read: dict[str, bytes] = {}

    def significant(self, name: str) -> bytes:
        """What counts of the file that a record calls `name`; raises OSError when it cannot be read."""
        found = self._read.get(name)
        if found is None:
            contents = Path(self._find(str(self._cwd / name))).read_bytes().partition(b"\0")[0]
            found = self._read[name] = significant(contents)
        return found


def significant(source: bytes) -> bytes:
    """What of `source` goes into the checksum (sumversion.c: parse_file)."""
    parts = []
    start = 0
    for match in STRING_OR_COMMENT.finditer(source):
        parts.append(source[start : match.start()].translate(None, WHITE_SPACE))
        start = match.end()
        if source[match.start()] == QUOTE:
            parts.append(match.group())
    parts.append(source[start:].translate(None, WHITE_SPACE))
    return b"".join(parts)


def srcversion(objects: Sequence[ObjectRecord], sources: SourceReader, log: Log) -> str:
    """The srcversion of a module made of `objects`, or "" where a record is malformed.

    Members of a static library (`.a`) do not count. A source that cannot be read ends modpost.
    """
    parts: list[bytes] = []
    for object in objects:
        if not object.name or object.name.endswith(".a"):
            continue
        names = recorded_sources(object.read(), object.name)
        for name in names:
            if not name:
                log.warn(f"malformed line: {next(names)}\n")
                return ""
            try:
                parts.append(sources.significant(name))
            except OSError as error:
                raise log.perror(name, error) from error
    return srcversion_digest(b"".join(parts))


QUOTE = ord('"')
WHITE_SPACE = b" \t\n\v\f\r"
STRING_OR_COMMENT = re.compile(
    rb"""
      \\\n                                  # a continued line
    | "[^"]*(?:(?<=\\)"[^"]*)*"?            # a string ends at a quote that no backslash precedes
    | /\*(?:/|.*?\*/|.*)                    # the star that opens a comment may close it
    """,
    re.VERBOSE | re.DOTALL,
)
