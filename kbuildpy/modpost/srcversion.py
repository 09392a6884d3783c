# SPDX-License-Identifier: GPL-2.0-only
"""The srcversion of a module: a checksum over its own sources (scripts/mod/sumversion.c: get_src_version).

The checksum ignores white space, comments and line continuations outside of strings. The surprises are those of the C
code: a `//` comment is not ignored, `/*/` is a whole comment, a quote in a character constant begins a string, and a
file ends at its first NUL byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from kbuildpy.modpost.diagnostics import Log
from kbuildpy.modpost.md4 import srcversion_digest
from kbuildpy.modpost.records import ObjectRecord, recorded_sources


class SourceReader:
    """Reads sources, and keeps their significant text, because the objects of a directory share headers.

    Names of sources are relative to `cwd`; `find` returns the file for the nominal path of a source.
    """

    def __init__(self, cwd: Path, find: Callable[[str], str] = str) -> None:
        self._cwd = cwd
        self._find = find
        self._read: dict[str, bytes] = {}

    def significant(self, name: str) -> bytes:
        """The significant text of the file that a `.cmd` file calls `name`. Raises OSError if it cannot be read."""
        found = self._read.get(name)
        if found is None:
            contents = Path(self._find(str(self._cwd / name))).read_bytes().partition(b"\0")[0]
            found = self._read[name] = significant(contents)
        return found


def significant(source: bytes) -> bytes:
    """The text of `source` that the checksum covers (sumversion.c: parse_file, parse_string, parse_comment)."""
    parts = []
    start = 0
    for match in STRING_OR_COMMENT.finditer(source):
        parts.append(source[start : match.start()].translate(None, WHITE_SPACE))
        start = match.end()
        if source[match.start()] == QUOTE:
            parts.append(match.group())
    parts.append(source[start:].translate(None, WHITE_SPACE))
    return b"".join(parts)


def srcversion(objects: Sequence[ObjectRecord], sources: SourceReader, log: Log, *, with_headers: bool) -> str:
    """The srcversion of a module that is linked from `objects`; "" if a `.cmd` file is malformed.

    It covers the module's own headers only `with_headers`. Static libraries (`.a`) are ignored. Raises `Fatal` for a
    source that cannot be read, `KbuildError` for a missing `.cmd` file.
    """
    parts: list[bytes] = []
    for object in objects:
        if not object.name or object.name.endswith(".a"):
            continue
        names = recorded_sources(object.read(), object.name, with_headers=with_headers)
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
