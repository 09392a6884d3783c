# SPDX-License-Identifier: GPL-2.0-only
"""Runs the cells of a matrix by an executor, and collects what they found."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from kbuildpy.fleet.cell import Cell
from kbuildpy.fleet.executor import HOST, Attempt, EndedAttempt, Executor
from kbuildpy.fleet.record import FAILED, Done, Record
from kbuildpy.fleet.results import CellResult, add_results, read_records, read_results
from kbuildpy.fleet.work import RECORDS
from kbuildpy.kbuild.source_copy import mark_as_output

RESULTS = "results.jsonl"
"""The stream of results, in the folder of a matrix."""
_TRIES = 3
"""How often a cell is begun whose process is lost, before that is its result."""


def run_matrix(
    cells: Sequence[Cell], out: Path, executor: Executor, *, others: Sequence[Path] = ()
) -> Iterator[CellResult]:
    """The results of `cells`, each as soon as it is known; what they make lies below `out`/cells.

    Cells that are done, by the results in `out` or in the folders `others`, are not done again; nor are those whose
    folder is there, as they are when the collecting process was killed. Raises `OSError`.
    """
    out.mkdir(parents=True, exist_ok=True)
    # (it may lie in a module directory, as whose source it does not count then)
    mark_as_output(out)
    known = read_results(path / RESULTS for path in (out, *others))
    left = []
    for cell in cells:
        if cell.key in known:
            yield known[cell.key]
        elif (found := _made(cell, out)) is not None:
            add_results(out / RESULTS, found)
            yield found
        else:
            left.append(cell)
    number = 1
    while left:
        again = []
        for ended in executor([_attempt(cell, out, number) for cell in left]):
            result = _result(ended, out, last=number >= _TRIES)
            if result is None:
                again.append(ended.attempt.cell)
                continue
            add_results(out / RESULTS, result)
            yield result
        left, number = again, number + 1


def cell_folder(cell: str, out: Path) -> Path:
    """Where the output of the cell with this key lies."""
    return out / "cells" / cell


def _attempt(cell: Cell, out: Path, number: int) -> Attempt:
    folder = cell_folder(cell.key, out)
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob(f"{cell.key}.*"):
        shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
    file = folder.with_name(f"{cell.key}.cell")
    cell.write(file)
    return Attempt(cell, file, folder, number)


def _result(ended: EndedAttempt, out: Path, *, last: bool) -> CellResult | None:
    """The result of an attempt; None if the cell is to be begun again."""
    cell = ended.attempt.cell
    found = _made(cell, out)
    if found is not None:
        return found._replace(done=found.done._replace(seconds=round(ended.seconds, 2), attempts=ended.attempt.number))
    if not last:
        return None
    reason = f"the process that worked on it {ended.reason or 'left nothing'}, {ended.attempt.number} times"
    record = Record(cell.key, cell.release, "", "", "", FAILED, reason)
    return CellResult([record], Done(cell.key, cell.release, round(ended.seconds, 2), ended.attempt.number, records=1))


def _made(cell: Cell, out: Path) -> CellResult | None:
    """The result in the folder of `cell`; None if it is not there."""
    folder = cell_folder(cell.key, out)
    try:
        records, host = read_records(folder / RECORDS), (folder / HOST).read_text()
    except OSError:
        return None
    folder.with_name(f"{cell.key}.cell").unlink(missing_ok=True)
    return CellResult(records, Done(cell.key, cell.release, 0.0, host=host, records=len(records)))
