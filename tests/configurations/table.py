# SPDX-License-Identifier: GPL-2.0-only
"""The table of configurations in docs/trees.md. It is written from the results, never by hand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tests.configurations.results import PARTS, Outcome, Result, read_result
from tests.configurations.rows import ROWS, Row

DOCUMENT = Path(__file__).parents[2] / "docs/trees.md"
BEGIN, END = "<!-- written by ./run configurations -->\n", "<!-- until here -->\n"
_VERSION = re.compile(r"\b(gcc|clang)\b.*?(\d+)\.\d+")


def table(results: Mapping[str, Result]) -> str:
    """The table, a row for each configuration."""
    head = f"| configuration | {' | '.join(PARTS)} |\n|{'---|' * (len(PARTS) + 1)}\n"
    return head + "".join(_line(row, results.get(row.name)) for row in ROWS)


def read_results() -> dict[str, Result]:
    """The results of all rows that have one."""
    found = {row.name: read_result(row.name) for row in ROWS}
    return {name: result for name, result in found.items() if result is not None}


def written(text: str, results: Mapping[str, Result]) -> str:
    """The document with the contents `text`, its table written anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(results)}\n{END}{after}"


def _line(row: Row, result: Result | None) -> str:
    kernel = f"{result.release}, {_compiler(result)}" if result and result.identity else row.line
    earlier = " (built with earlier options)" if result and result.earlier else ""
    what = f"`{row.name}`: {kernel}: {row.shown}{earlier}"
    cells = [_cell(part, result.outcomes.get(part) if result else None, row) for part in PARTS]
    return f"| {what} | {' | '.join(cells)} |\n"


def _compiler(result: Result) -> str:
    found = _VERSION.search(result.compiler)
    return f"{found[1]} {found[2]}" if found else result.compiler


def _cell(part: str, outcome: Outcome | None, row: Row) -> str:
    if outcome is None:
        return f"not run: its kernel takes about {row.minutes} minutes" if row.minutes else "not run yet"
    if outcome.verdict == "not run":
        return f"not run: {outcome.reason}"
    counted = outcome.counted
    if outcome.verdict == "different":
        return f"different: {counted.get('different') or len(outcome.differences)} (`results/{row.name}.json`)"
    if part == "bytes":
        own = f"{counted['samples']} samples" + (f", {counted['rust']} in Rust" if "rust" in counted else "")
        return f"equal: {own}, {', '.join(outcome.names)}" + (" (but for places)" if row.names_files else "")
    if part == "check":
        random = f"{counted['random']} random" if counted["random"] else "as far as its loader is known"
        return f"equal: {counted['named']} named, {random}"
    if part == "run":
        return f"equal: {counted['samples']} samples"
    return "equal"
