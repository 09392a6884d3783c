# SPDX-License-Identifier: GPL-2.0-only
"""`Record`: what one step said of one module with one kernel; and `Done`, the end of a cell."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


class Record(NamedTuple):
    """The result of one step. It is the same wherever and whenever the cell is worked on."""

    cell: str
    """The cell's key."""
    kernel: str
    """The kernel's release."""
    input: str
    """The path that the call named: a module directory, or a file."""
    module: str
    """The module's name; "" where a step failed before it came to modules."""
    step: str
    """Of `STEPS`; "" where the cell itself failed."""
    status: str
    """`passed`, `failed` or `skipped`."""
    reason: str = ""
    """Why it did not pass."""
    hint: str = ""
    """What to do."""
    result: Mapping[str, Any] | None = None
    """The object that the step's command printed."""

    def line(self) -> str:
        """It as a line of JSON."""
        return json.dumps(self._asdict())


class Done(NamedTuple):
    """The end of a cell's work."""

    done: str
    """The cell's key."""
    kernel: str
    """The kernel's release."""
    seconds: float
    """How long it took."""
    attempts: int = 1
    """How often it was begun."""
    host: str = ""
    """The machine that did it."""
    records: int = 0
    """How many lines before this one are its records."""

    def line(self) -> str:
        """It as a line of JSON."""
        return json.dumps(self._asdict())


def read_line(line: str) -> Record | Done | None:
    """What a line of results says; None for a line that is incomplete, as a crash leaves it."""
    try:
        value = json.loads(line)
        return Done(**value) if "done" in value else Record(**value)
    except (TypeError, ValueError):
        return None
