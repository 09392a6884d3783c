# SPDX-License-Identifier: GPL-2.0-only
"""One line of a guest's console: a report of guest_run.sh, or a line of the kernel's log.

Modules may print what they like, so each boot has a marker of its own that its reports begin with.
"""

from __future__ import annotations

import secrets
from typing import NamedTuple

FORGED = "kbuildpy: not a report of the guest: "
"""The prefix of a forged report in the log (see `vouching`)."""
OUTPUT = ("out", "out+", "flood")
"""The first words of reports of what a test printed; these the guest does not make `again`."""


def new_marker() -> str:
    """What one boot's reports begin with."""
    return f"kbuildpy-{secrets.token_hex(8)}"


class Report(NamedTuple):
    """A report: its first word, and the rest of it."""

    word: str
    rest: str

    @property
    def number(self) -> int | None:
        """The rest as a number of at most 64 bits; None for any other text."""
        return int(self.rest) if self.rest.isascii() and self.rest.isdigit() and len(self.rest) <= 20 else None


def read_report(text: str) -> Report:
    """The report in a line, without its marker."""
    word, _, rest = text.partition(" ")
    return Report(word, rest)


def read_line(line: str, marker: str) -> Report | str:
    """The report in a line of the console; the line itself where it is the kernel's."""
    start = f"{marker}: "
    return read_report(line.removeprefix(start)) if line.startswith(start) else line


def printed(pieces: str) -> str:
    """A line that a test printed, of the pieces that were reported: a character may be in two of them."""
    return pieces.encode(errors="surrogateescape").decode(errors="surrogateescape")
