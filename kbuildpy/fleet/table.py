# SPDX-License-Identifier: GPL-2.0-only
"""The overview of a matrix as text: a row for each module, a column for each kernel, then the reasons."""

from __future__ import annotations

from collections.abc import Iterator

from kbuildpy.fleet.overview import Overview, Square, row_names
from kbuildpy.fleet.record import FAILED, PASSED, SKIPPED
from kbuildpy.printable import printable

_WIDEST = 100
"""Columns of text for which kernels stand beside each other; else a line tells how many of them took a module."""


def as_table(overview: Overview) -> Iterator[str]:
    """The lines of the table."""
    names = {row: printable(name) for row, name in row_names(overview).items()}
    widths = [max(len(kernel), 7) for kernel in overview.kernels]
    first = max([6, *map(len, names.values())])
    if first + sum(width + 2 for width in widths) <= _WIDEST:
        titles = [f"{kernel:{width}}" for kernel, width in zip(overview.kernels, widths, strict=True)]
        yield "  ".join([f"{'module':{first}}", *titles]).rstrip()
        for row in overview.rows:
            squares = [overview.squares.get((row, kernel)) for kernel in overview.kernels]
            words = [f"{_word(square):{width}}" for square, width in zip(squares, widths, strict=True)]
            yield "  ".join([f"{names[row]:{first}}", *words]).rstrip()
    else:
        for row in overview.rows:
            squares = [overview.squares.get((row, kernel)) for kernel in overview.kernels]
            passed = sum(square is not None and square.status == PASSED for square in squares)
            yield f"{names[row]:{first}}  {passed} of {sum(square is not None for square in squares)} kernels"
    yield from _reasons(overview, names)


def _word(square: Square | None) -> str:
    """`built`, `checked` and the like would all mean that it is well; a failure names its step."""
    if square is None:
        return "-"
    return {PASSED: "passed", SKIPPED: "skipped", FAILED: f"{square.step or 'cell'}!"}[square.status]


def _reasons(overview: Overview, names: dict[tuple[str, str], str]) -> Iterator[str]:
    """A line for each reason, with the kernels that it holds for."""
    found: dict[tuple[tuple[str, str], str, str, str], list[str]] = {}
    for row in overview.rows:
        for kernel in overview.kernels:
            square = overview.squares.get((row, kernel))
            for record in square.records if square else ():
                if record.status != PASSED:
                    found.setdefault((row, record.step, record.reason, record.hint), []).append(kernel)
    for (row, step, reason, hint), kernels in found.items():
        where = kernels[0] if len(kernels) == 1 else f"{len(kernels)} kernels, {kernels[0]} the first"
        yield f"{names[row]} ({where}): {step}: {printable(reason)}" if step else f"{names[row]} ({where}): {reason}"
        if hint:
            yield f"  hint: {printable(hint)}"
