# SPDX-License-Identifier: GPL-2.0-only
"""GCC's static analyzer (-fanalyzer): paths through functions that end in a leak, a use after free, a null pointer.

The analyzer works on what the optimizer sees, so the source is compiled to assembly, and that is thrown away.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from kbuildpy.lint.checkers.cc import plain_messages
from kbuildpy.lint.compiler_lines import read_compiler_lines
from kbuildpy.lint.finding import Finding
from kbuildpy.lint.source_checker import CheckRun, LintTools, SourceChecker, of_c
from kbuildpy.lint.subjects import LintSubject

_OPTIONS = ("-fanalyzer", "-fdiagnostics-path-format=separate-events", "-Wno-error", "-S")


def _runs(subjects: Sequence[LintSubject], tools: LintTools) -> Iterator[CheckRun]:
    for subject in of_c(subjects):
        words = subject.compiling(*plain_messages(subject), *_OPTIONS, output=os.devnull)
        yield CheckRun(words, subject, subject.name)


def _read(text: str, run: CheckRun) -> list[Finding]:
    found = read_compiler_lines(text, checker=FANALYZER.name, cwd=run.about.cwd, tab_width=run.about.tab_width)
    # (the compiler's other warnings are the checker cc's)
    return [each for each in found if each.rule.startswith("-Wanalyzer-") or each.level == "error"]


def _unfit(subject: LintSubject) -> str:
    return "the kernel's compiler is clang, -fanalyzer is GCC's" if subject.is_clang else ""


FANALYZER = SourceChecker("fanalyzer", "GCC's static analyzer, -fanalyzer", "", _runs, _read, unfit=_unfit)
