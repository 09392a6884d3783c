# SPDX-License-Identifier: GPL-2.0-only
"""`./run configurations`: makes the kernel of each configuration, compares, and writes the table in docs/trees.md.

What is equal already, with the same kernel, is not compared again; so an interrupted call goes on at the next one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.similar import did_you_mean
from tests.configurations.kernels import Kernel, kernel_of
from tests.configurations.parts import COMPARISONS
from tests.configurations.results import PARTS, Outcome, Result, read_result, write_result
from tests.configurations.rows import ROWS, Row, SelfBuilt
from tests.configurations.table import DOCUMENT, read_results, written


def main(argv: Sequence[str] | None = None) -> int:
    """Run the comparisons; 0 when all that were run are equal."""
    parser = argparse.ArgumentParser(
        prog="./run configurations",
        description="Build kernels of many configurations, and compare kbuildpy on each with make and with the kernel.",
        epilog="Results are kept in tests/configurations/results, and the table in docs/trees.md is written from them. "
        "The kernels are kept in the user's cache (kbuildpy kernels --remove NAME removes one).",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these rows, also patterns such as '6.12-*'")
    parser.add_argument("--list", action="store_true", help="print the rows with their results, and compare nothing")
    parser.add_argument("--table", action="store_true", help="only write the table")
    parser.add_argument("--kernels", action="store_true", help="only make the kernels")
    parser.add_argument(
        "--as-is", action="store_true", help="take kernels that are there, also if their sets had other options then"
    )
    parser.add_argument("--again", action="store_true", help="compare again what is equal already")
    parser.add_argument("--part", action="append", choices=PARTS, default=[], help="only this comparison")
    args = parser.parse_args(argv)
    rows = chosen(args.names)
    if args.list:
        for row in rows:
            print(_listed(row))
        return 0
    fine = True
    try:
        for row in [] if args.table else rows:
            fine &= _row(row, args.part or PARTS, args=args)
    finally:
        DOCUMENT.write_text(written(DOCUMENT.read_text(), read_results()))
    return 0 if fine else 1


def chosen(names: Sequence[str]) -> list[Row]:
    """The rows that `names` name; all for none. Ends the process for a name of no row."""
    for name in names:
        if not any(fnmatchcase(row.name, name) for row in ROWS):
            near = did_you_mean(name, [row.name for row in ROWS])
            print(f"configurations: no row {name!r}{f': {near}' if near else ''} (--list)", file=sys.stderr)
            sys.exit(2)
    return [row for row in ROWS if not names or any(fnmatchcase(row.name, name) for name in names)]


def _row(row: Row, parts: Sequence[str], *, args: argparse.Namespace) -> bool:
    """Make the kernel of `row` and compare `parts`; whether nothing differs."""
    began = time.monotonic()
    try:
        with kernel_of(row, as_is=args.as_is) as kernel:
            _say(row, f"{kernel.tree.release}, {kernel.compiler}", began)
            return args.kernels or _compare(row, kernel, parts, again=args.again)
    except pytest.skip.Exception as skipped:
        _say(row, f"not run: {skipped}", began)
        if read_result(row.name) is None:
            outcomes = {part: Outcome("not run", reason=str(skipped)) for part in PARTS}
            write_result(row.name, Result(row.line, "", "", outcomes=outcomes))
    except KbuildError as error:
        _say(row, f"no kernel: {error}", began)
        return False
    return True


def _compare(row: Row, kernel: Kernel, parts: Sequence[str], *, again: bool) -> bool:
    result = read_result(row.name)
    if result is None or result.identity != kernel.identity:
        result = Result(kernel.tree.release, kernel.compiler, kernel.identity)
    if result.earlier != kernel.earlier:
        result = replace(result, earlier=kernel.earlier)
        write_result(row.name, result)
    fine = True
    for part in parts:
        if result.is_done(part) and not again:
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="configurations-") as scratch:
            outcome = _tried(lambda: COMPARISONS[part](row, kernel, Path(scratch).resolve()))  # noqa: B023
        # (a result says nothing of where it came about)
        differences = tuple(text.replace(str(Path(scratch).resolve()), ".") for text in outcome.differences)
        outcome = replace(outcome, differences=differences, seconds=round(time.monotonic() - began, 1))
        result = result.with_outcome(part, outcome)
        write_result(row.name, result)
        _say(row, f"{part}: {_told(outcome)}", began)
        fine &= outcome.verdict != "different"
    return fine


def _tried(compare: Callable[[], Outcome]) -> Outcome:
    try:
        return compare()
    except pytest.skip.Exception as skipped:
        return Outcome("not run", reason=str(skipped))
    except (KbuildError, AssertionError) as error:
        return Outcome("different", differences=(str(error) or repr(error),))


def _told(outcome: Outcome) -> str:
    counted = ", ".join(f"{count} {what}" for what, count in outcome.counted.items())
    rest = [counted, ", ".join(outcome.names), outcome.reason, *outcome.differences]
    return "; ".join([outcome.verdict, *filter(None, rest)])


def _listed(row: Row) -> str:
    result = read_result(row.name)
    of = "built here" if isinstance(row.kernel, SelfBuilt) else "packaged"
    known = [
        f"{part} {result.outcomes[part].verdict}" if result and part in result.outcomes else f"{part} -"
        for part in PARTS
    ]
    return f"{row.name:24} {of:10} {', '.join(known)}"


def _say(row: Row, text: str, began: float) -> None:
    print(f"{row.name}: {text} ({time.monotonic() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    sys.exit(main())
