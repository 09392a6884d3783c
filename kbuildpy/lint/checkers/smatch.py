# SPDX-License-Identifier: GPL-2.0-only
"""smatch in its project `kernel`, as its manual runs it: `make C=1 CHECK="smatch -p=kernel"`.

It prints `FILE:LINE FUNCTION() warn: TEXT`, and, of what its parser refuses, the lines of sparse, of which it is made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kbuildpy.lint.compiler_lines import read_compiler_lines
from kbuildpy.lint.finding import Finding, full_path
from kbuildpy.lint.source_checker import CheckRun, LintTools, SourceChecker, no_check_command, of_c
from kbuildpy.lint.subjects import LintSubject

_LINE = re.compile(r"([^:\n]+):(\d+) (\S+\(\)) (parse error|error|warn|warning|info): (.*)")
_LEVELS = {"error": "error", "parse error": "error", "info": "note"}


def _runs(subjects: Sequence[LintSubject], tools: LintTools) -> Iterator[CheckRun]:
    fails_for = "note" if "--fatal-checks" in tools.program else "error"
    for subject in of_c(subjects):
        words = (*tools.program, "-p=kernel", *subject.checker)
        yield CheckRun(words, subject, subject.name, fails_for=fails_for)


def _read(text: str, run: CheckRun) -> list[Finding]:
    found = read_compiler_lines(text, checker=SMATCH.name, cwd=run.about.cwd, tab_width=8, names_rules=False)
    for file, line, function, level, words in _LINE.findall(text):
        path = full_path(run.about.cwd, file)
        message = f"{function}: {words}"
        found.append(Finding(SMATCH.name, path, int(line), 0, _LEVELS.get(level, "warning"), message, ""))
    return found


SMATCH = SourceChecker(
    "smatch", "flow through functions: null pointers, locks, errors", "smatch", _runs, _read, unfit=no_check_command
)
