# SPDX-License-Identifier: GPL-2.0-only
"""What `kbuildpy check` prints: verdicts in each of its formats."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from kbuildpy.cli.progress import Say, with_bar
from kbuildpy.loader.check import Result
from kbuildpy.loader.exclusions import with_exclusions
from kbuildpy.loader.reports.describe import as_matrix, as_text
from kbuildpy.loader.reports.sarif import as_sarif
from kbuildpy.loader.verdict import Verdict
from kbuildpy.printable import printable_error


def print_verdicts(
    results: Iterator[tuple[Path, Result]], count: int, *, format: str, quiet: bool, verbose: bool
) -> bool:
    """Print `results`, those of `count` files; returns whether every kernel accepts every module.

    JSON is printed as results arrive, the other formats at the end.
    """
    shown, say = with_bar(results, count, quiet=quiet)
    rows: list[Sequence[Verdict]] = []
    printed = 0
    for _, row in shown:
        rows.append(row)
        if not row[0].readable:
            say(f"kbuildpy: {printable_error(row[0].reason or '', row[0].hint)}", error=True)
        # (a module with exports may exclude a later module, so its lines are printed after that)
        if format == "json" and printed == len(rows) - 1 and not any(verdict.exports for verdict in row):
            _print_json(row, say, quiet=quiet)
            printed += 1
    rows = [*with_exclusions(rows)]
    if format == "json":
        for row in rows[printed:]:
            _print_json(row, say, quiet=quiet)
    elif format == "text":
        _print_text(rows, quiet=quiet, verbose=verbose)
    else:
        if quiet and format == "html":
            rows = [row for row in rows if not all(verdict.accepted for verdict in row)]
        print(_document(format, rows))
    return all(verdict.accepted for row in rows for verdict in row)


def _print_json(row: Sequence[Verdict], say: Say, *, quiet: bool) -> None:
    for verdict in row:
        if not (quiet and verdict.accepted):
            say(json.dumps(verdict.to_json()))


def _print_text(rows: Sequence[Sequence[Verdict]], *, quiet: bool, verbose: bool) -> None:
    """A table if there are several kernels, then a text for each verdict that has details."""
    verdicts = [verdict for row in rows for verdict in row]
    several_kernels = len(rows[0]) > 1
    if several_kernels and not quiet:
        print(as_matrix(rows))
    accepted_too = not quiet and (verbose or not several_kernels)
    for verdict in verdicts:
        # (unreadable files were reported already)
        if accepted_too if verdict.accepted else verdict.readable:
            print(as_text(verdict, verbose=verbose, brief=len(verdicts) > 1 and not verbose))
    if len(verdicts) > 1:
        accepted = sum(verdict.accepted for verdict in verdicts)
        print(f"{accepted} of {len(verdicts)} accepted", file=sys.stderr)


def _document(format: str, rows: Sequence[Sequence[Verdict]]) -> str:
    verdicts = [verdict for row in rows for verdict in row]
    if format == "sarif":
        return as_sarif(verdicts)
    if format == "html":
        from kbuildpy.loader.reports.page import as_page  # (slow, and for people)

        return as_page(rows)
    from kbuildpy.loader.reports.junit import as_junit  # (slow: xml)

    return as_junit(verdicts)
