# SPDX-License-Identifier: GPL-2.0-only
"""The stream of results of a matrix: one file of JSON lines, to which each cell's records are added when it is done.

It is also what an interrupted matrix goes on from. The last lines may be incomplete, or of a cell that is not done:
these do not count.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from kbuildpy.fleet.record import Done, Record, read_line


class CellResult(NamedTuple):
    """What is known of a cell that is done."""

    records: Sequence[Record]
    """Its records."""
    done: Done
    """Its end."""


def read_results(paths: Iterable[Path]) -> dict[str, CellResult]:
    """The results in the files `paths`, by the keys of cells. A missing file has none."""
    found: dict[str, CellResult] = {}
    for path in paths:
        waiting: dict[str, list[Record]] = {}
        try:
            text = path.read_text(errors="replace")
        except OSError:
            continue
        for line in text.splitlines():
            said = read_line(line)
            if isinstance(said, Record):
                waiting.setdefault(said.cell, []).append(said)
            elif said is not None:
                # (what stands before these is of an addition that was cut off)
                records = waiting.pop(said.done, [])
                records = records[len(records) - said.records :] if said.records else []
                if len(records) == said.records:
                    found.setdefault(said.done, CellResult(records, said))
    return found


def read_records(path: Path) -> list[Record]:
    """The records in a cell's own file. Raises `OSError`."""
    return [said for said in map(read_line, path.read_text().splitlines()) if isinstance(said, Record)]


def add_results(path: Path, result: CellResult) -> None:
    """Add the results of a cell to the file `path`, so that they are on the disk."""
    lines = [*(record.line() for record in result.records), result.done.line()]
    with path.open("a+b") as file:
        # (a crash may have left a part of a line)
        file.seek(0, os.SEEK_END)
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write("".join(f"{line}\n" for line in lines).encode())
        file.flush()
        os.fsync(file.fileno())
