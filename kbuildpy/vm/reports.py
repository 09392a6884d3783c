# SPDX-License-Identifier: GPL-2.0-only
"""What guest_run.sh reports of a boot: for each module its steps, and the lines that the kernel logged meanwhile.

The log may end anywhere, for the kernel may have died. Lines come as `report.read_line` gives them; what a report means
is said here and nowhere else.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from kbuildpy.vm.boot_report import BootReport, GuestStep, ModuleSteps, TestSteps
from kbuildpy.vm.report import OUTPUT, Report, printed, read_line, read_report

# kernel/printk/printk.c
_DROPPED = re.compile(r"\*\* \d+ printk messages dropped \*\*")
_FUNCTION = re.compile(r"(\w+) ([0-9a-f]{1,16})(?= |$)")


def read_boot(lines: Sequence[str], marker: str, *, hung: bool = False) -> BootReport:
    """Read the lines of the console, without their time stamps; `hung` says why there are no more.

    Reports begin with `marker`; one whose number is missing counts for nothing.
    """
    return boot_of([read_line(line, marker) for line in lines], hung=hung)


def boot_of(lines: Sequence[Report | str], *, hung: bool = False) -> BootReport:
    """The same of lines that were read already."""
    reader = _Reader(BootReport(hung=hung))
    for line in _with_repeated(lines):
        reader.take(line)
    boot = reader.boot
    again = sum(isinstance(line, Report) and line.word == "again" for line in lines)
    flooded = any(_DROPPED.fullmatch(line) for line in boot.log)
    boot.lost = flooded and (not boot.done or again != (reader.repeated or 0))
    return boot


@dataclass
class _Reader:
    """Where the reading of a boot is."""

    boot: BootReport
    step: GuestStep = field(default_factory=GuestStep)
    """(before the first: the kernel's own boot)"""
    module: ModuleSteps = field(default_factory=ModuleSteps)
    test: TestSteps = field(default_factory=TestSteps)
    pieces: str = ""
    """Of a line that the test prints."""
    repeated: int | None = None
    """How many reports the guest has made again."""

    def take(self, line: Report | str) -> None:
        """Take the next line."""
        if isinstance(line, str):
            self.boot.log.append(line)
            self.step.log.append(line)
        elif not (self._begins(line) or self._of_step(line) or self._of_module(line) or self._of_test(line)):
            self._of_boot(line)

    def _begins(self, report: Report) -> bool:
        """Take the beginning of a step."""
        if report.word not in ("insmod", "rmmod", "test"):
            return False
        if report.number is None:
            return True
        if report.word == "test":
            self.test = self.boot.tests.setdefault(report.number, TestSteps())
            self.step, self.pieces = self.test.step, ""
            return True
        self.boot.last = report.number
        self.module = self.boot.modules.setdefault(report.number, ModuleSteps())
        self.step = GuestStep()
        if report.word == "insmod":
            self.module.load = self.step
        else:
            self.module.removal = self.step
        return True

    def _of_step(self, report: Report) -> bool:
        step, boot = self.step, self.boot
        match report.word:
            case "errno":
                step.killed, step.errno = report.rest == "killed", report.number
            case "pid":
                step.pid = report.number
            case "late":
                step.late = report.rest.strip()
            case "stack":
                step.stack.append(report.rest)
            case "tainted":
                step.tainted = report.number
            case "lockdep":
                step.lockdep = report.number != 0
                boot.lockdep = step.lockdep if boot.last is None else boot.lockdep
            case _:
                return False
        return True

    def _of_module(self, report: Report) -> bool:
        module, rest = self.module, report.rest
        match report.word:
            case "line":
                module.line = rest
            case "held":
                module.held = rest
            case "taints":
                module.taints = rest
            case "message":
                module.messages.append(rest)
            case "section":
                name, _, address = rest.rpartition(" ")
                module.sections[name] = address
            case _:
                return False
        return True

    def _of_test(self, report: Report) -> bool:
        match report.word:
            case "out" | "out+":
                self.pieces += report.rest
                if report.word == "out":
                    line = printed(self.pieces).encode(errors="surrogateescape").decode(errors="replace")
                    self.test.output.append(line)
                    self.pieces = ""
            case "flood":
                self.test.flood = True
            case "ended":
                self.test.status, self.test.seconds = _how_it_ended(report.rest)
            case "tested":
                self.boot.tested = True
                # (what comes now is as if there had been no tests)
                self.step = self.module.load or self.step
            case _:
                return False
        return True

    def _of_boot(self, report: Report) -> None:
        boot, rest = self.boot, report.rest
        match report.word:
            case "ready":
                boot.release = rest
            case "stop":
                boot.functions = {name: int(at, 16) for name, at in _FUNCTION.findall(rest)}
            case "untested":
                boot.untested = rest
            case "kunit":
                suite, _, text = rest.partition(" ")
                boot.kunit.setdefault(suite, []).append(text)
            case "leak":
                boot.leaks.append(rest)
            case "seen":
                boot.seen.append(rest)
            case "watched":
                boot.watched = True
            case "remains":
                owner, _, thing = rest.partition(" ")
                self._remains_of(owner).append(thing)
            case "shell" | "left":
                boot.shell = report.word == "shell"
            case "over":
                boot.over = True
            case "done":
                boot.done = True
            case "repeated":
                self.repeated = report.number

    def _remains_of(self, owner: str) -> list[str]:
        """Where to list what `owner` (a module's number, `test` and a test's, `-`) has left behind."""
        owners = self.boot.tests if owner.startswith("test") else self.boot.modules
        number = Report("", owner.removeprefix("test")).number
        found = None if number is None else owners.get(number)
        return (found or self.boot).remains


def _with_repeated(lines: Sequence[Report | str]) -> Iterator[Report | str]:
    """`lines`, in which the reports that were lost in a flood of messages are where they would be, more or less: the
    guest has reported all of them `again` in the end."""
    reports = [line for line in lines if isinstance(line, Report)]
    lost = deque(read_report(report.rest) for report in reports if report.word == "again")
    if not lost or [report.number for report in reports if report.word == "repeated"] != [len(lost)]:
        # (fewer or more: it did not come to the end of them, or some are a module's; what they say counts for nothing)
        yield from lines
        return
    for line in lines:
        if isinstance(line, str) or line.word in OUTPUT:
            yield line
        elif line.word == "again":
            while lost:
                yield lost.popleft()
        elif line in lost:
            while (before := lost.popleft()) != line:
                yield before
            yield line
        elif line.word in ("repeated", "done"):
            yield line


def _how_it_ended(rest: str) -> tuple[str, float]:
    """How a test ended, and the seconds between the two times of the guest that follow."""
    status, *times = rest.split() or [""]
    try:
        begun, ended = map(float, times)
    except ValueError:
        return status, 0.0
    return status, round(ended - begun, 2)
