# SPDX-License-Identifier: GPL-2.0-only
"""sparse, as `make C=1` runs it: address spaces, endianness, locks (Documentation/dev-tools/sparse.rst)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kbuildpy.lint.compiler_lines import read_compiler_lines
from kbuildpy.lint.finding import Finding
from kbuildpy.lint.source_checker import CheckRun, LintTools, SourceChecker, no_check_command, of_c
from kbuildpy.lint.subjects import LintSubject


def _runs(subjects: Sequence[LintSubject], tools: LintTools) -> Iterator[CheckRun]:
    for subject in of_c(subjects):
        yield CheckRun((*tools.program, *subject.checker), subject, subject.name)


def _read(text: str, run: CheckRun) -> list[Finding]:
    return read_compiler_lines(text, checker=SPARSE.name, cwd=run.about.cwd, tab_width=8, names_rules=False)


SPARSE = SourceChecker(
    "sparse", "address spaces, endianness, locks, as C=1 does it", "sparse", _runs, _read, unfit=no_check_command
)
