# SPDX-License-Identifier: GPL-2.0-only
"""What `kbuildpy lint` prints: findings in each of its formats, the SARIF file, and a line that counts them."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from kbuildpy.cli.progress import Say, with_bar
from kbuildpy.errors import KbuildError
from kbuildpy.files import replacing
from kbuildpy.lint.checkers import CHECKERS, USUAL
from kbuildpy.lint.finding import LEVELS, Finding, from_directory
from kbuildpy.lint.gather import GatheredRun
from kbuildpy.lint.sarif import CheckerReport, as_sarif
from kbuildpy.lint.source_checker import program_words
from kbuildpy.printable import printable
from kbuildpy.say import complain


class LintPrinter:
    """Prints the findings for one kernel after the other, and keeps them for the SARIF file."""

    failed: bool
    """A checker did not run to its end."""

    def __init__(self, format: str, *, quiet: bool, baseline: Path | None, several: bool) -> None:
        self.failed = False
        self._format, self._quiet, self._baseline, self._several = format, quiet, baseline, several
        self._levels: Counter[str] = Counter()
        self._in_headers = self._known = 0
        self._reports: list[CheckerReport] = []

    def tell(self, line: str) -> None:
        """Print a line about the checkers."""
        if not self._quiet:
            complain(f"kbuildpy: {printable(line)}")

    def print_kernel(self, release: str, checkers: Sequence[str], runs: Iterator[GatheredRun], count: int) -> None:
        """Print what `runs`, of which there are `count`, find for a kernel."""
        if self._several and self._format == "text":
            print(f"# {release}")
        findings: dict[str, list[tuple[Finding, str]]] = {name: [] for name in checkers}
        failures: dict[str, list[str]] = {name: [] for name in checkers}
        shown, say = with_bar(runs, count, quiet=self._quiet, unit=" runs")
        for each in shown:
            findings[each.checker] += each.findings
            self._in_headers += each.in_headers
            self._known += each.known
            for finding, _ in each.findings:
                self._levels[finding.level] += 1
                self._print(finding, release, say)
            if each.failure:
                self.failed = True
                failures[each.checker].append(each.failure)
                first, *others = each.failure.splitlines()
                for line in (f"kbuildpy: error: {each.checker}: {first}", *(f"  {line}" for line in others)):
                    say(printable(line), error=True)
        self._reports += [CheckerReport(name, release, findings[name], failures[name]) for name in checkers]

    def end(self, file: Path | None) -> None:
        """Write the SARIF file, if one is wanted, and count."""
        if file is not None or self._format == "sarif":
            text = as_sarif(self._reports, top=os.getcwd(), shown=from_directory)  # noqa: PTH109
            if self._format == "sarif":
                print(text, end="")
            if file is not None:
                with replacing(file) as slot:
                    slot.write(text.encode())
        if not self._quiet:
            complain(f"kbuildpy: {self._counts()}")

    def has_found(self, level: str | None) -> bool:
        """Whether a finding is of `level`, or worse; None: of no level."""
        return level is not None and any(self._levels[worse] for worse in LEVELS[LEVELS.index(level) :])

    def _print(self, finding: Finding, release: str, say: Say) -> None:
        if self._format == "json":
            say(json.dumps(finding.to_json(release, from_directory)))
        elif self._format == "text":
            for line in finding.lines(from_directory):
                say(printable(line))

    def _counts(self) -> str:
        counts = [_counted(self._levels[level], level) for level in reversed(LEVELS) if self._levels[level]]
        parts = [", ".join(counts) or "no findings"]
        if self._in_headers:
            parts.append(f"{self._in_headers} in kernel headers left out (--kernel-headers shows them)")
        if self._known:
            parts.append(f"{self._known} known from {self._baseline}")
        return printable("; ".join(parts))


def print_checkers() -> None:
    """Print each checker with what it looks for."""
    width = max(map(len, CHECKERS))
    for name, checker in CHECKERS.items():
        usual = " (usual)" if name in USUAL else ""
        print(f"{name:{width}}  {checker.summary}{usual}{_obstacle(name)}")


def _obstacle(name: str) -> str:
    try:
        program_words(CHECKERS[name], (), os.environ)
    except KbuildError as error:
        return f"; not here: {error.hint}"
    script = CHECKERS[name].script
    return f"; takes scripts/{script} of kernel sources" if script else ""


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
