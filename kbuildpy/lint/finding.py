# SPDX-License-Identifier: GPL-2.0-only
"""What a checker finds, as a value."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

LEVELS = ("note", "warning", "error")
"""From the least to the worst. SARIF has the same words."""


class FindingNote(NamedTuple):
    """A line that a program prints below a finding, about another place."""

    file: str
    """Absolute."""
    line: int
    column: int
    """From 1 on; 0 where the program tells none."""
    text: str
    """Without `note:`."""


@dataclass(frozen=True)
class Finding:
    """One finding of one checker."""

    checker: str
    """The checker's name."""
    file: str
    """Absolute."""
    line: int
    """0: the whole file."""
    column: int
    """From 1 on; 0 where the program tells none."""
    level: str
    """One of `LEVELS`."""
    message: str
    """The program's words, without file, level and rule."""
    rule: str
    """What the program calls this kind of finding (`-Wunused-variable`); "" where it has no name for it."""
    details: tuple[str, ...] = ()
    """More lines of the message, about the same place."""
    notes: tuple[FindingNote, ...] = ()
    """Lines about other places."""
    tab_width: int = 1
    """How far a tab counts in columns: 1, or up to a multiple of 8."""

    def lines(self, shown: Callable[[str], str]) -> Iterator[str]:
        """The finding as compilers print it; `shown` turns a file's path into the one to print."""
        where = _where(shown(self.file), self.line, self.column)
        tag = self.rule or self.checker
        yield f"{where}: {self.level}: {self.message} [{tag}]"
        for detail in self.details:
            yield f"{where}: {detail}"
        for note in self.notes:
            yield f"{_where(shown(note.file), note.line, note.column)}: note: {note.text}"

    def to_json(self, kernel: str, shown: Callable[[str], str]) -> dict[str, object]:
        """As `--format json` prints it, for the kernel that was checked for."""
        return {
            "checker": self.checker,
            "kernel": kernel,
            "file": shown(self.file),
            "line": self.line or None,
            "column": self.column or None,
            "level": self.level,
            "message": "\n".join([self.message, *(detail.strip() for detail in self.details)]),
            "rule": self.rule or None,
            "notes": [
                {"file": shown(note.file), "line": note.line, "column": note.column or None, "text": note.text}
                for note in self.notes
            ],
        }


def full_path(cwd: str, name: str) -> str:
    """The file that a program which ran in `cwd` calls `name`."""
    return os.path.normpath(os.path.join(cwd, name))  # noqa: PTH118


def from_directory(path: str) -> str:
    """`path` as it is written in the working directory: relative if it is below it."""
    here = os.getcwd()  # noqa: PTH109
    return path[len(here) + 1 :] if path.startswith(f"{here.rstrip('/')}/") else path


def _where(file: str, line: int, column: int) -> str:
    return ":".join([file, *(str(number) for number in (line, column) if number)])
