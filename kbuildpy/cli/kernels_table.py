# SPDX-License-Identifier: GPL-2.0-only
"""The tables of `kbuildpy kernels`: aligned columns, which fold on a narrow terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

from kbuildpy.printable import printable


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print `rows`, the headings first, as wide as the terminal if standard output is one."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print("\n".join(map(printable, aligned(rows, width=width))))


def aligned(rows: Sequence[Sequence[str]], *, width: int | None) -> list[str]:
    """`rows` in aligned columns. If they are wider than `width`, the last column has a line of its own."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if width is None or sum(widths) + 2 * len(widths) <= width + 2:
        return [_line(row, widths) for row in rows]
    lines = [_line(rows[0][:-1], widths)]
    for row in rows[1:]:
        lines += [_line(row[:-1], widths), f"{' ' * (widths[0] + 4)}{row[-1]}"]
    return lines


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
