# SPDX-License-Identifier: GPL-2.0-only
"""Coverage as a tracefile of lcov's (geninfo(1): FILES), which editors and forges read."""

from __future__ import annotations

from collections.abc import Sequence

from kbuildpy.coverage.report import FileCoverage


def as_lcov(files: Sequence[FileCoverage]) -> str:
    """The tracefile of `files`."""
    return "".join(f"{line}\n" for file in files for line in _record(file))


def _record(file: FileCoverage) -> list[str]:
    lines = ["TN:", f"SF:{file.path}"]
    functions, branches, counted = file.function_count, file.branch_count, file.line_count
    lines += [f"FN:{function.line},{function.name}" for function in file.functions]
    lines += [f"FNDA:{function.count},{function.name}" for function in file.functions]
    lines += [f"FNF:{functions.found}", f"FNH:{functions.hit}"]
    for number, counts in sorted(file.branches.items()):
        # (a branch of a line that was not reached is not evaluated)
        reached = file.lines.get(number, 0) > 0
        lines += [f"BRDA:{number},0,{place},{count if reached else '-'}" for place, count in enumerate(counts)]
    lines += [f"BRF:{branches.found}", f"BRH:{branches.hit}"]
    lines += [f"DA:{number},{count}" for number, count in sorted(file.lines.items())]
    return [*lines, f"LF:{counted.found}", f"LH:{counted.hit}", "end_of_record"]
