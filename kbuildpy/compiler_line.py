# SPDX-License-Identifier: GPL-2.0-only
"""A line of a compiler's messages, `FILE:LINE:COLUMN: error: TEXT`, as GCC and clang print it, and checkers too."""

from __future__ import annotations

import re
from typing import NamedTuple

_LINE = re.compile(
    r"(?P<file>[^:\n]+):(?:(?P<line>\d+):)?(?:(?P<column>\d+):)? "
    r"(?P<kind>(?:fatal |internal compiler )?error|warning|note|info): (?P<text>.*)",
    re.IGNORECASE,
)


class CompilerLine(NamedTuple):
    """The first line of a message."""

    file: str
    """As the compiler names it: `<command-line>` for an option, the program's own name for what is in no file."""
    line: int | None
    """None where none is told."""
    column: int
    """From 1 on; 0 where none is told."""
    kind: str
    """`error`, `fatal error`, `internal compiler error`, `warning`, `note` or `info`."""
    text: str
    """What follows."""

    @property
    def is_error(self) -> bool:
        """Whether it is an error of any kind."""
        return self.kind.endswith("error")


def compiler_line(line: str) -> CompilerLine | None:
    """What a line of a compiler's output tells; None for an excerpt, a count or the like."""
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    line_number = int(match["line"]) if match["line"] else None
    return CompilerLine(match["file"], line_number, int(match["column"] or 0), match["kind"].lower(), match["text"])
