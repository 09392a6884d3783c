# SPDX-License-Identifier: GPL-2.0-only
"""clang-tidy with the checks that `make clang-tidy` and `make clang-analyzer` choose (scripts/clang-tools).

Where a `.clang-tidy` lies above a source, that chooses the checks of `clang-tidy`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from kbuildpy.lint.compiler_lines import read_compiler_lines
from kbuildpy.lint.finding import Finding
from kbuildpy.lint.source_checker import CheckRun, LintTools, SourceChecker
from kbuildpy.lint.subjects import LintSubject

# (the functions of C11's annex K, which those ask for, the kernel has not)
_CHECKS = {
    "clang-tidy": "-*,linuxkernel-*",
    "clang-analyzer": "-*,clang-analyzer-*,-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling",
}
_PLAIN = ("-fno-caret-diagnostics", "-fno-color-diagnostics")


def _runs(subjects: Sequence[LintSubject], tools: LintTools, *, name: str) -> Iterator[CheckRun]:
    for number, subject in enumerate(subjects):
        if subject.clang is None:
            continue
        # (the name of the compiler there says for which machine, which a command line of clang-tidy's cannot)
        folder = Path(tools.scratch, f"{name}-{number}")
        folder.mkdir()
        words = subject.clang["arguments"]
        entry = {**subject.clang, "arguments": [*words[:-1], *_PLAIN, words[-1]]}
        (folder / "compile_commands.json").write_text(json.dumps([entry]))
        source = subject.clang["file"]
        own = name == "clang-tidy" and any((place / ".clang-tidy").exists() for place in Path(source).parents)
        checks = () if own else (f"-checks={_CHECKS[name]}",)
        yield CheckRun((*tools.program, "-quiet", *checks, "-p", str(folder), source), subject, subject.name)


def _read(text: str, run: CheckRun, *, name: str) -> list[Finding]:
    return read_compiler_lines(text, checker=name, cwd=run.about.cwd)


def _checker(name: str, summary: str) -> SourceChecker:
    return SourceChecker(name, summary, "clang-tidy", partial(_runs, name=name), partial(_read, name=name))


CLANG_TIDY = _checker("clang-tidy", "clang-tidy's checks for the kernel, or those of .clang-tidy")
CLANG_ANALYZER = _checker("clang-analyzer", "clang's static analyzer")
