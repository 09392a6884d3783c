# SPDX-License-Identifier: GPL-2.0-only
"""The results of a matrix by module and kernel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from kbuildpy.fleet.record import FAILED, PASSED, SKIPPED, Record

_WORST = (FAILED, SKIPPED, PASSED)


class Square(NamedTuple):
    """What all steps said of one module with one kernel."""

    status: str
    """The worst of its records."""
    step: str
    """The step of the first record with that status, else the last step."""
    records: Sequence[Record]
    """The records, in the order of the steps."""


class Overview(NamedTuple):
    """The results by module and kernel."""

    kernels: Sequence[str]
    """The releases, in the order of the call."""
    rows: Sequence[tuple[str, str]]
    """Each module, as the input that it comes from and its name; the name is "" for an input without modules."""
    squares: dict[tuple[tuple[str, str], str], Square]
    """By row and release."""

    def count(self, status: str) -> int:
        """How many squares have `status`."""
        return sum(square.status == status for square in self.squares.values())


def overview_of(records: Iterable[Record], kernels: Sequence[str]) -> Overview:
    """The overview of `records`. A failure that names no module is one of all modules of its input."""
    found: dict[tuple[tuple[str, str], str], list[Record]] = {}
    general: list[Record] = []
    rows: dict[tuple[str, str], None] = {}
    for record in records:
        if record.module:
            rows[record.input, record.module] = None
            found.setdefault(((record.input, record.module), record.kernel), []).append(record)
        else:
            general.append(record)
    for record in general:
        meant = [row for row in rows if not record.input or row[0] == record.input]
        if not meant:
            meant = [(record.input, "")]
            rows[meant[0]] = None
        for row in meant:
            found.setdefault((row, record.kernel), []).append(record)
    squares = {key: _square(items) for key, items in found.items()}
    return Overview(list(dict.fromkeys(kernels)), sorted(rows), squares)


def row_names(overview: Overview) -> dict[tuple[str, str], str]:
    """A short name for each row: the module's; where several have it, with the folder that it comes from."""
    names = [name for _, name in overview.rows]
    return {
        (word, name): (f"{name} ({Path(word).name})" if names.count(name) > 1 else name) or Path(word).name or "all"
        for word, name in overview.rows
    }


def _square(records: Sequence[Record]) -> Square:
    status = min((record.status for record in records), key=_WORST.index)
    step = next(record.step for record in records if record.status == status) if status != PASSED else records[-1].step
    return Square(status, step, records)
