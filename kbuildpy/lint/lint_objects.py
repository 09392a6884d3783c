# SPDX-License-Identifier: GPL-2.0-only
"""Checks the objects of a directory for one kernel: from the choice of checkers to what is printed."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.lint.choose import CheckerWish, KernelScripts, choose_checkers
from kbuildpy.lint.gather import gather
from kbuildpy.lint.own_files import is_own_file
from kbuildpy.lint.printer import LintPrinter
from kbuildpy.lint.run_checkers import plan_runs, run_checkers
from kbuildpy.lint.subjects import LintSubject


@dataclass(frozen=True)
class LintSettings:
    """How objects are checked."""

    wishes: Sequence[CheckerWish]
    """The checkers."""
    scripts: KernelScripts
    """Where the kernel's scripts are, if the caller says so."""
    baseline: Collection[str] = frozenset()
    """The fingerprints of findings that are known."""
    kernel_headers: bool = False
    """Findings in kernel headers are told as well."""
    jobs: int = 1
    """How many programs run at a time."""


def lint_objects(
    subjects: Sequence[LintSubject],
    tree: KernelTree,
    directory: str,
    settings: LintSettings,
    printer: LintPrinter,
    *,
    scratch: str,
) -> None:
    """Check `subjects`, at least one object of the module `directory` (physical) for `tree`, and let `printer` print
    what is found. Files that are thrown away go to the folder `scratch`.

    Raises `KbuildError` for a checker that is needed and cannot run.
    """
    choice = choose_checkers(settings.wishes, subjects, tree, scratch=scratch, scripts=settings.scripts)
    for line in choice.left_out:
        printer.tell(line)
    runs = plan_runs(choice.chosen, subjects)
    gathered = gather(
        run_checkers(runs, jobs=settings.jobs),
        is_own=is_own_file(tree, directory),
        kernel_headers=settings.kernel_headers,
        baseline=settings.baseline,
        shown=lambda path: os.path.relpath(path, directory),
    )
    printer.print_kernel(tree.release, [checker.name for checker, _ in choice.chosen], gathered, len(runs))
