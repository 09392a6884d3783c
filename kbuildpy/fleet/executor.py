# SPDX-License-Identifier: GPL-2.0-only
"""What an executor is: something that runs the commands of cells, somewhere.

An executor knows nothing of modules. It gets attempts, each a command line that carries out a cell and writes to a
folder of its own, and reports how each ended.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from kbuildpy.child import end_with
from kbuildpy.errors import KbuildError
from kbuildpy.fleet.cell import Cell, read_cell
from kbuildpy.fleet.contents import contents_of
from kbuildpy.fleet.work import carry_out
from kbuildpy.own_command import own_command
from kbuildpy.pin import environment_to_sign
from kbuildpy.run import run

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

    Raises `KbuildError` where the modules are not those that the cell was planned for; `OSError`, `TypeError` and
    `ValueError` for a file without a cell.
    """
    cell = read_cell(file)
    if contents_of(cell.inputs) != cell.contents:
        raise KbuildError(
            f"{', '.join(cell.inputs)}: other contents on {socket.gethostname()} than where the matrix was called",
            hint="if they were edited meanwhile, call the matrix again; workers need the same files at the same paths",
        )
    beside = place.with_name(f"{place.name}.{socket.gethostname()}.{time.monotonic_ns()}")
    carry_out(cell, beside, jobs=jobs)
    (beside / HOST).write_text(socket.gethostname())
    try:
        beside.rename(place)
    except OSError:
        # (the cell was given to another worker, when this one seemed to be lost)
        shutil.rmtree(beside, ignore_errors=True)
        if not place.is_dir():
            raise


def carry_out_words(words: Sequence[str]) -> tuple[str, float]:
    """Run `kbuildpy WORDS` in a process that ends with this one, and gets the signing key's passphrase: what happened
    to it, "" if it did its work, and how many seconds it took."""
    began = time.monotonic()
    begin = partial(end_with, os.getpid())
    done = run(own_command(*words), check=False, begin=begin, env=environment_to_sign())
    return _reason(done.returncode, done.stderr), time.monotonic() - began


def _reason(status: int, said: bytes) -> str:
    if status == 0:
        return ""
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    lines = said.decode(errors="replace").strip().splitlines()
    return f"ended with status {status}{f': {lines[-1]}' if lines else ''}"
