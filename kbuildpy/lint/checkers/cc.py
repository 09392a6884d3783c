# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's compiler, with the warnings that the tree asks for (`W=`), and kernel-doc, which `W=` starts as well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kbuildpy.lint.compiler_lines import read_compiler_lines
from kbuildpy.lint.finding import Finding
from kbuildpy.lint.source_checker import CheckRun, LintTools, SourceChecker
from kbuildpy.lint.subjects import LintSubject

_PLAIN_GCC = ("-fno-diagnostics-show-caret", "-fdiagnostics-color=never")
_PLAIN_CLANG = ("-fno-caret-diagnostics", "-fno-color-diagnostics")


def plain_messages(subject: LintSubject) -> tuple[str, ...]:
    """The compiler's options for messages without excerpts of sources."""
    return _PLAIN_CLANG if subject.is_clang else _PLAIN_GCC


def _runs(subjects: Sequence[LintSubject], tools: LintTools) -> Iterator[CheckRun]:
    for number, subject in enumerate(subjects):
        words = subject.compiling(*plain_messages(subject), output=f"{tools.scratch}/{number}.o")
        yield CheckRun(words, subject, subject.name)
        for text in subject.documented:
            # (the text is the kernel tree's)
            yield CheckRun(("sh", "-c", text), subject, subject.name, rule="kernel-doc", fails_for="warning")


def _read(text: str, run: CheckRun) -> list[Finding]:
    return read_compiler_lines(text, checker=CC.name, cwd=run.about.cwd, tab_width=run.about.tab_width, rule=run.rule)


CC = SourceChecker("cc", "the kernel's compiler: its warnings under W=, and kernel-doc's", "", _runs, _read)
