# SPDX-License-Identifier: GPL-2.0-only
"""What an executor is: something that runs the commands of cells, somewhere.

An executor knows nothing of modules. It gets attempts, each a command line that carries out a cell and writes to a
folder of its own, and reports how each ended.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from kbuildpy.fleet.cell import Cell, read_cell
from kbuildpy.fleet.work import carry_out

HOST = "host"
"""The file in an attempt's folder that names the machine."""


class Attempt(NamedTuple):
    """One try to carry out a cell."""

    cell: Cell
    """The cell."""
    file: Path
    """The file that it is written in."""
    place: Path
    """The folder for its output, which does not exist yet."""
    number: int
    """1 for the first try."""


class EndedAttempt(NamedTuple):
    """How an attempt ended."""

    attempt: Attempt
    """The attempt."""
    reason: str
    """"" if the cell was carried out; else what happened to the process."""
    seconds: float
    """How long it took."""


Executor = Callable[[Sequence[Attempt]], Iterator[EndedAttempt]]
"""Runs attempts, and yields each as it ends."""


def work_words(attempt: Attempt, *, jobs: int) -> list[str]:
    """The words behind `kbuildpy` that carry out `attempt` with `jobs` at a time."""
    return ["matrix", "--cell", str(attempt.file), "--place", str(attempt.place), f"-j{jobs}"]


def work_on(file: Path, place: Path, *, jobs: int) -> None:
    """Carry out the cell in `file`; its output is at `place` once all of it is there.

    Raises `OSError`, `TypeError` and `ValueError` for a file without a cell.
    """
    cell = read_cell(file)
    beside = place.with_name(f"{place.name}.{socket.gethostname()}.{time.monotonic_ns()}")
    carry_out(cell, beside, jobs=jobs)
    (beside / HOST).write_text(socket.gethostname())
    beside.rename(place)
