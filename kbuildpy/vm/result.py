# SPDX-License-Identifier: GPL-2.0-only
"""The result of one module in one kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.module_files import module_name
from kbuildpy.vm.complaints import Complaint
from kbuildpy.vm.tap import Point


@dataclass(frozen=True)
class TestResult:
    """The result of one test."""

    __test__ = False  # (to pytest)

    name: str
    kind: str
    """`program`, `command` (of the guest's own), or `kunit` for a suite in a module."""
    passed: bool
    skipped: bool = False
    status: int | None = None
    """The exit status; None: it did not end by itself, or was not run."""
    seconds: float = 0.0
    reason: str = ""
    """Why it failed or was skipped."""
    complaints: tuple[Complaint, ...] = ()
    points: tuple[Point, ...] = ()
    """What it printed as TAP."""
    output: tuple[str, ...] = ()
    """Its lines."""

    def to_json(self) -> dict[str, object]:
        """An item of the key `tests` of `--format json`."""
        return {
            "name": self.name,
            "kind": self.kind,
            "passed": self.passed,
            "skipped": self.skipped,
            "status": self.status,
            "seconds": self.seconds,
            "reason": self.reason or None,
            "complaints": [complaint.to_json() for complaint in self.complaints],
            "points": [point.to_json() for point in self.points],
            "output": list(self.output),
        }


@dataclass(frozen=True)
class Result:
    """The result of one module in one kernel."""

    file: str
    kernel: str
    """Its release; "" for a damaged file, which is tried in none."""
    name: str
    parameters: str = ""
    loaded: bool = False
    removed: bool = False
    errno: str | None = None
    """The name of what loading it answered; None for success or no answer."""
    complaints: tuple[Complaint, ...] = ()
    """The complaints, the most important first."""
    line: str = ""
    """Its line of /proc/modules."""
    taints: str = ""
    """Its taint letters."""
    messages: tuple[str, ...] = ()
    """What dynamic debug has of it."""
    sections: Mapping[str, str] = field(default_factory=dict)
    """The addresses of its sections."""
    needs: tuple[str, ...] = ()
    """The modules that it needs."""
    remarks: tuple[str, ...] = ()
    """The messages of the kernel's loader when it accepted the module."""
    log: tuple[str, ...] = ()
    """What the kernel logged while it was loaded and removed."""
    tests: tuple[TestResult, ...] = ()
    """The tests that ran while it was loaded."""

    @property
    def content(self) -> bool:
        """Whether it was loaded and removed without complaint."""
        return self.loaded and self.removed and not self.complaints

    @property
    def passed(self) -> bool:
        """Whether that is so, and no test failed."""
        return self.content and all(test.passed for test in self.tests)

    def to_json(self) -> dict[str, object]:
        """The keys of one line of `--format json`."""
        return {
            "file": self.file,
            "kernel": self.kernel or None,
            "name": self.name,
            "passed": self.passed,
            "loaded": self.loaded,
            "removed": self.removed,
            "errno": self.errno,
            "reason": self.complaints[0].words if self.complaints else self._failed_test(),
            "complaints": [complaint.to_json() for complaint in self.complaints],
            "parameters": self.parameters,
            "needs": list(self.needs),
            "remarks": list(self.remarks),
            "line": self.line or None,
            "taints": self.taints,
            "dyndbg": list(self.messages),
            "sections": dict(self.sections),
            "log": list(self.log),
            "tests": [test.to_json() for test in self.tests],
        }

    def _failed_test(self) -> str | None:
        failed = next((test for test in self.tests if not test.passed), None)
        return f"test {failed.name}: {failed.reason}" if failed else None


def damaged(file: Path, error: KbuildError) -> Result:
    """The result of a file that cannot be read as a module, by the `error` that says why."""
    hint = error.hint or "the file was truncated or changed: build or copy it again"
    words = f"skipped: {error.message.removeprefix(f'{file}: ')} ({hint})"
    return Result(str(file), "", module_name(file.name), complaints=(Complaint("damaged", words),))
