# SPDX-License-Identifier: GPL-2.0-only
"""Prints findings, as text or JSON, counts them, and makes the SARIF document of all."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from kbuildpy.files import replacing
from kbuildpy.lint.finding import LEVELS, Finding, from_directory
from kbuildpy.lint.gather import GatheredRun
from kbuildpy.lint.sarif import CheckerReport, as_sarif
from kbuildpy.printable import printable
from kbuildpy.say import complain, say


class SayFinding(Protocol):
    """A function that prints a line; an `error` on standard error."""

    def __call__(self, line: str, /, *, error: bool = False) -> None: ...


ShowRuns = Callable[[Iterator[GatheredRun], int], tuple[Iterator[GatheredRun], SayFinding]]
"""Shows how many of so many runs are done, while they are read; gives them, and the function that prints meanwhile."""


class LintPrinter:
    """Prints the findings for one kernel after the other, and keeps them for the SARIF file."""

    failed: bool
    """A checker did not run to its end."""

    def __init__(self, format: str, *, quiet: bool, several: bool, show: ShowRuns) -> None:
        self.failed = False
        self._format, self._quiet, self._several, self._show = format, quiet, several, show
        self._levels: Counter[str] = Counter()
        self._in_headers = self._known = 0
        self._reports: dict[tuple[str, str], CheckerReport] = {}
        self._release = ""

    def tell(self, line: str) -> None:
        """Print a line about the checkers."""
        if not self._quiet:
            complain(f"kbuildpy: {printable(line)}")

    def print_kernel(self, release: str, checkers: Sequence[str], runs: Iterator[GatheredRun], count: int) -> None:
        """Print what `runs`, of which there are `count`, find for a kernel."""
        if self._several and self._format == "text" and release != self._release:
            print(f"# {release}", flush=True)
        self._release = release
        # (of modules that are checked apart, one checker has one report)
        reports = {name: self._reports.setdefault((name, release), CheckerReport(name, release)) for name in checkers}
        shown, print_line = self._show(runs, count)
        for each in shown:
            reports[each.checker].findings.extend(each.findings)
            self._in_headers += each.in_headers
            self._known += each.known
            for finding, _ in each.findings:
                self._levels[finding.level] += 1
                self._print(finding, release, print_line)
            if each.failure:
                self.failed = True
                reports[each.checker].failures.append(each.failure)
                first, *others = each.failure.splitlines()
                for line in (f"kbuildpy: error: {each.checker}: {first}", *(f"  {line}" for line in others)):
                    print_line(printable(line), error=True)

    def end(self, file: Path | None) -> None:
        """Write the SARIF file, if one is wanted, and count."""
        if file is not None or self._format == "sarif":
            text = as_sarif([*self._reports.values()], top=os.getcwd(), shown=from_directory)  # noqa: PTH109
            if self._format == "sarif":
                print(text, end="")
            if file is not None:
                with replacing(file) as slot:
                    slot.write(text.encode())
        if not self._quiet:
            complain(f"kbuildpy: {self.counts()}")

    def has_found(self, level: str | None) -> bool:
        """Whether a finding is of `level`, or worse; None: of no level."""
        return level is not None and any(self._levels[worse] for worse in LEVELS[LEVELS.index(level) :])

    def counts(self) -> str:
        """How many findings there are of each level, and how many were left out."""
        counts = [_counted(self._levels[level], level) for level in reversed(LEVELS) if self._levels[level]]
        parts = [", ".join(counts) or "no findings"]
        if self._in_headers:
            parts.append(f"{self._in_headers} in kernel headers left out (--kernel-headers shows them)")
        if self._known:
            parts.append(f"{self._known} known from the baseline")
        return printable("; ".join(parts))

    def _print(self, finding: Finding, release: str, print_line: SayFinding) -> None:
        if self._format == "json":
            print_line(json.dumps(finding.to_json(release, from_directory)))
        elif self._format == "text":
            for line in finding.lines(from_directory):
                print_line(printable(line))


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def plainly(runs: Iterator[GatheredRun], _: int) -> tuple[Iterator[GatheredRun], SayFinding]:
    """Shows nothing of how many runs are done."""

    def print_line(line: str, /, *, error: bool = False) -> None:
        (complain if error else say)(line)

    return runs, print_line
