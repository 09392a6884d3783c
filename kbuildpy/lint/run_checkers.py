# SPDX-License-Identifier: GPL-2.0-only
"""Runs checkers over objects, several at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kbuildpy.lint.finding import LEVELS, Finding
from kbuildpy.lint.source_checker import CheckRun, LintTools, SourceChecker
from kbuildpy.lint.subjects import LintSubject
from kbuildpy.not_started import not_started_in
from kbuildpy.parallel import in_threads
from kbuildpy.run import run

_TOLD = 4
"""How many lines of a program that failed are told."""


class PlannedRun(NamedTuple):
    """A run that is to be made."""

    checker: SourceChecker
    """Whose it is."""
    run: CheckRun
    """The program to start."""


class CheckOutcome(NamedTuple):
    """What one run of a checker brought."""

    checker: str
    """The checker."""
    findings: tuple[Finding, ...]
    """What it found, in its order."""
    failure: str = ""
    """What went wrong with the program itself; "" for nothing."""


def plan_runs(chosen: Sequence[tuple[SourceChecker, LintTools]], subjects: Sequence[LintSubject]) -> list[PlannedRun]:
    """Every run of the `chosen` checkers over `subjects`."""
    return [PlannedRun(checker, each) for checker, tools in chosen for each in checker.runs(subjects, tools)]


def run_checkers(runs: Sequence[PlannedRun], *, jobs: int) -> Iterator[CheckOutcome]:
    """The outcome of each of `runs`, in their order; `jobs` are made at a time.

    Raises `KbuildError` for a program that cannot be started.
    """
    return in_threads(_outcome, runs, jobs=jobs, in_order=True)


def _outcome(planned: PlannedRun) -> CheckOutcome:
    checker, this = planned
    about = this.about
    cwd = this.cwd or about.cwd
    done = run(this.argv, cwd=cwd, env=about.env, check=False, begin=about.begin(cwd))
    if this.argv[:2] == ("sh", "-c"):
        missing = not_started_in(this.argv[2], done.returncode, cwd=cwd, env=about.env)
        if missing:
            raise missing
    text = "\n".join(part.decode(errors="surrogateescape") for part in (done.stderr, done.stdout))
    if about.renames:
        text = text.replace(*about.renames)
    found = tuple(dict.fromkeys(checker.read(text, this)))
    if done.returncode == 0 or (done.returncode > 0 and _explains(found, this.fails_for)):
        return CheckOutcome(checker.name, found)
    how = f"was ended by signal {-done.returncode}" if done.returncode < 0 else f"failed with status {done.returncode}"
    said = [line for line in text.splitlines() if line.strip()][-_TOLD:]
    return CheckOutcome(checker.name, found, "\n".join([f"{this.shown}: {this.argv[0]} {how}", *said]))


def _explains(found: Sequence[Finding], fails_for: str) -> bool:
    """Whether findings are the reason for a status. (A compiler that is killed may have warned of something before.)"""
    worst = LEVELS[LEVELS.index(fails_for) :] if fails_for else ()
    return any(finding.level in worst for finding in found)
