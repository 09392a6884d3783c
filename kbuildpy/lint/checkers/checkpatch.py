# SPDX-License-Identifier: GPL-2.0-only
"""checkpatch.pl of the kernel's sources over whole files: the sources, and the module's own headers that they include.

It runs in the module directory, where it finds a `.checkpatch.conf`.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence

from kbuildpy.kbuild.included_headers import include_folders, search_headers
from kbuildpy.lint.finding import Finding, full_path
from kbuildpy.lint.source_checker import CheckRun, LintTools, SourceChecker
from kbuildpy.lint.subjects import LintSubject

_OPTIONS = ("--no-tree", "--terse", "--showfile", "--show-types", "--no-summary", "--color=never", "--file")
_LINE = re.compile(r"([^:\n]+):(\d+): (ERROR|WARNING|CHECK):([A-Z0-9_]+): (.*)")
_LEVELS = {"ERROR": "error", "WARNING": "warning", "CHECK": "note"}


def _runs(subjects: Sequence[LintSubject], tools: LintTools) -> Iterator[CheckRun]:
    files: dict[str, LintSubject] = {}
    for subject in subjects:
        for path in (subject.source, *_headers(subject)):
            files.setdefault(path, subject)
    for path, subject in files.items():
        words = (*tools.program, str(tools.script), *_OPTIONS, path)
        shown = os.path.relpath(path, subject.directory)
        yield CheckRun(words, subject, shown, cwd=subject.directory, fails_for="note")


def _headers(subject: LintSubject) -> list[str]:
    def is_own(path: str) -> bool:
        return path.startswith(f"{subject.directory}/")

    folders = include_folders(shlex.join(subject.compiler), cwd=subject.cwd, is_own=is_own)
    return search_headers(subject.source, folders, exists=lambda path: is_own(path) and os.path.isfile(path))  # noqa: PTH113


def _read(text: str, run: CheckRun) -> list[Finding]:
    found = []
    for file, line, level, rule, words in _LINE.findall(text):
        path = full_path(run.cwd, file)
        found.append(Finding(CHECKPATCH.name, path, int(line), 0, _LEVELS[level], words, rule))
    return found


CHECKPATCH = SourceChecker("checkpatch", "the kernel's coding style", "perl", _runs, _read, script="checkpatch.pl")
