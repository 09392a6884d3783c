# SPDX-License-Identifier: GPL-2.0-only
"""A place in a source file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple


class Place(NamedTuple):
    """A line of a function; for the caller of an inlined function the line of the call."""

    function: str
    file: str
    """Its path as the compiler was told it; "" where nobody knows."""
    line: int | None
    """None where the compiler gives none."""

    def to_json(self) -> dict[str, object]:
        """As `--format json` prints it."""
        return {"function": self.function, "file": self.file or None, "line": self.line}


class Explained(NamedTuple):
    """What debug information tells of lines of a kernel's log."""

    where: tuple[Place, ...] = ()
    """The place in the module that they are about, and the calls that it is inlined by, from the innermost on."""
    titles: tuple[str, ...] = ()
    """The same as texts for people, a line for each."""
    lines: tuple[str, ...] = ()
    """The lines with all places that they mention."""
    problem: str = ""
    """Why the place is not known, where a line names one."""


NOT_EXPLAINED = Explained()
Explain = Callable[[Sequence[str], str], Explained]
"""Explains the lines of a report that is about the module of that name."""
