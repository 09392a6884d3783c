# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts as text: lines for a terminal, and a table of files and kernels."""

from __future__ import annotations

from collections.abc import Sequence

from kbuildpy.kernel.errnos import errno_words
from kbuildpy.loader.verdict import Verdict
from kbuildpy.printable import printable

_WIDTH = 14


def as_text(verdict: Verdict, *, verbose: bool = False, brief: bool = False) -> str:
    """Return the verdict as lines: the result, then its details.

    `brief`: taints, required modules and size of an accepted module are left out. `verbose`: memory and sections are
    added.
    """
    lines = [f"{printable(verdict.file)}: {_answer(verdict)} by {verdict.kernel}"]
    facts: list[tuple[str, str]] = []
    if not verdict.readable:
        facts.append(("because", verdict.reason or ""))
        facts += [("to do", verdict.hint)] if verdict.hint else []
    elif not verdict.accepted:
        facts.append(("kernel log", verdict.log or "(nothing)"))
        facts.append(("stage", verdict.stage or ""))
        facts.append(("because", verdict.reason or ""))
        if verdict.hint:
            facts.append(("to do", verdict.hint))
    elif brief:
        facts += [("warns", line) for line in verdict.warnings]
    else:
        facts += [("warns", line) for line in verdict.lines]
        facts.append(("taints", verdict.taints or "none"))
        facts.append(("needs", ", ".join(verdict.requires) or "nothing"))
        facts.append(("size", f"{verdict.size} bytes"))
    facts += [
        ("not beside", f"{item.file}, which is refused with ENOEXEC then: {item.log}") for item in verdict.excludes
    ]
    facts += [("not checked", item.sentence) for item in verdict.unchecked]
    if verbose:
        facts += [("memory", f"{kind}: {size} bytes") for kind, size in verdict.memory.items() if size]
        facts += [
            ("section", f"{item.section}: {item.memory} + {item.offset:#x}, {item.size} bytes")
            for item in verdict.sections
        ]
    previous = ""
    for name, value in facts:
        lines.append(f"  {name if name != previous else '':{_WIDTH}}{printable(value)}")
        previous = name
    return "\n".join(lines)


def as_matrix(results: Sequence[Sequence[Verdict]]) -> str:
    """Return a table with a line for each file and a column for each kernel.

    Each element of `results` has the verdicts of one file. A cell is "ok" with remarks, the errno, "undefined" or
    "unreadable".
    """
    if not results:
        return ""
    header = ["", *(verdict.kernel for verdict in results[0])]
    rows = [[printable(row[0].file), *(_cell(verdict) for verdict in row)] for row in results]
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    return "\n".join(
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    )


def _cell(verdict: Verdict) -> str:
    if not verdict.readable:
        return "unreadable"
    if verdict.accepted:
        remarks = ["warns"] if verdict.warnings else []
        remarks += [f"not beside {', '.join(printable(item.file) for item in verdict.excludes)}"] * bool(
            verdict.excludes
        )
        remarks += ["not all checked"] if verdict.unchecked else []
        return f"ok ({', '.join(remarks)})" if remarks else "ok"
    return verdict.errno or "undefined"


def _answer(verdict: Verdict) -> str:
    if verdict.accepted:
        return "accepted"
    if not verdict.readable:
        return "not checked: the file cannot be read,"
    if verdict.errno is None:
        return "not safe to load, though not refused,"
    return f"refused with {errno_words(verdict.errno)}"
