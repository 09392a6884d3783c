"""What guest_run.sh reports, taken out of a kernel log: for each module its steps, and what the kernel said meanwhile.

The log may end anywhere, for the kernel may have died, and modules may print what they like: each boot has a marker of
its own that its reports begin with.
"""

from __future__ import annotations

import re
import secrets
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

_DROPPED = re.compile(r"\*\* \d+ printk messages dropped \*\*")


def new_marker() -> str:
    """What one boot's reports begin with."""
    return f"kbuildpy-{secrets.token_hex(8)}"


class Report(NamedTuple):
    """A report: its first word, and the rest of it."""

    word: str
    rest: str

    @property
    def number(self) -> int | None:
        """The rest as a number; None if it is none, of 64 bits at most."""
        return int(self.rest) if self.rest.isascii() and self.rest.isdigit() and len(self.rest) <= 20 else None


def printed(pieces: str) -> str:
    """A line that a test printed, of the pieces that were reported: a character may be in two of them."""
    return pieces.encode(errors="surrogateescape").decode(errors="surrogateescape")


def as_report(line: str, marker: str) -> Report | None:
    """The report in a line of the log; None for a line that the kernel said."""
    start = f"{marker}: "
    return Report(*line.removeprefix(start).partition(" ")[::2]) if line.startswith(start) else None


@dataclass
class Step:
    """One call of the kernel for a module, to load or to remove it.

    `errno` is 0 for success, None if there was no answer: then the kernel killed the caller (`killed`), or `late` is
    the state of the process that did not come back in time and `stack` where it was, or the kernel died (neither).
    `log` are the kernel's lines from here to the next step; `tainted` is its taint mask afterwards, `lockdep` whether
    lockdep still looks then (None: the kernel has none); `pid` is that of the process that made the call.
    """

    errno: int | None = None
    killed: bool = False
    late: str = ""
    stack: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    tainted: int | None = None
    lockdep: bool | None = None
    pid: int | None = None

    @property
    def answered(self) -> bool:
        """Whether the kernel lived to tell how it went."""
        return self.errno is not None or self.killed or bool(self.late)


@dataclass
class ModuleSteps:
    """What one module went through: `load`, and `removal` if that was tried. `line` is its line of /proc/modules,
    `held` that line when it could not be removed, `taints` its taint letters, `messages` its lines of dynamic debug's
    control file, `sections` the addresses of its sections in the kernel, `remains` what came with it and is still there
    in the end."""

    load: Step | None = None
    removal: Step | None = None
    line: str = ""
    held: str = ""
    taints: str = ""
    messages: list[str] = field(default_factory=list)
    sections: dict[str, str] = field(default_factory=dict)
    remains: list[str] = field(default_factory=list)

    @property
    def gone(self) -> bool:
        """Whether the kernel has nothing of it any more: it was removed, or not taken."""
        return (self.removal.errno == 0) if self.removal else bool(self.load and self.load.errno)


@dataclass
class TestSteps:
    """What one test went through: `step` is what the kernel did meanwhile (`late` and `stack` of a process that no
    signal ended), `output` its lines; `status` is what the guest's shell says of its end (a number, `late`, or `flood`
    when it was ended for what it printed; "" if the guest did not live to tell), `seconds` how long it took, `remains`
    what came with it and is still there in the end."""

    __test__ = False  # (to pytest)

    step: Step = field(default_factory=Step)
    output: list[str] = field(default_factory=list)
    status: str = ""
    flood: bool = False
    seconds: float = 0.0
    remains: list[str] = field(default_factory=list)


@dataclass
class BootReport:
    """One boot: `release` is what the kernel calls itself, "" if it did not get as far as to start loading; `modules`
    by their numbers; `last` the number of the one that was called last; `over` that the guest gave up, `done` that it
    got to its end, `shell` that it was ended from its shell, `hung` that nothing came from it any more; `leaks` is what
    kmemleak lists, `remains` what is there in the end, came with one of the modules, and nobody knows with which; `log`
    all that the kernel said; `tests` by their numbers, `tested` that they are over, `untested` names the modules that
    were not loaded, so that none was tried; `kunit` is what debugfs has of KUnit's suites, by name; `lockdep` says
    whether lockdep looked before anything was loaded (None: the kernel has none); `lost` that
    reports were, in a flood of messages."""

    release: str = ""
    modules: dict[int, ModuleSteps] = field(default_factory=dict)
    last: int | None = None
    over: bool = False
    done: bool = False
    shell: bool = False
    hung: bool = False
    leaks: list[str] = field(default_factory=list)
    remains: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    tests: dict[int, TestSteps] = field(default_factory=dict)
    tested: bool = False
    untested: str = ""
    lockdep: bool | None = None
    lost: bool = False
    kunit: dict[str, list[str]] = field(default_factory=dict)

    @property
    def testing(self) -> bool:
        """Whether it did not get beyond a test."""
        return bool(self.tests) and not self.tested


def _with_repeated(lines: Sequence[str], marker: str) -> Iterator[str]:
    """`lines`, in which the reports that were lost in a flood of messages are where they would be, more or less: the
    guest has reported all of them `again` in the end."""
    start = f"{marker}: "
    lost = deque(line.removeprefix(f"{start}again ") for line in lines if line.startswith(f"{start}again "))
    counts = [report.number for line in lines if (report := as_report(line, marker)) and report.word == "repeated"]
    if not lost or counts != [len(lost)]:
        # (fewer or more: it did not come to the end of them, or some are a module's; what they say counts for nothing)
        yield from lines
        return
    for line in lines:
        report = as_report(line, marker)
        if report is None or report.word in ("out", "out+", "flood"):
            yield line
        elif report.word == "again":
            yield from (start + lost.popleft() for _ in range(len(lost)))
        elif (text := line.removeprefix(start)) in lost:
            while (before := lost.popleft()) != text:
                yield start + before
            yield line
        elif report.word in ("repeated", "done"):
            yield line


def read_boot(lines: Sequence[str], marker: str, *, hung: bool = False) -> BootReport:
    """Read the lines of the console, without their time stamps; `hung` says why there are no more.

    Reports begin with `marker`; one whose number is missing counts for nothing.
    """
    boot = BootReport(hung=hung)
    step = Step()  # (before the first: the kernel's own boot)
    module = ModuleSteps()
    test = TestSteps()
    pieces = ""
    repeated = None
    for line in _with_repeated(lines, marker):
        report = as_report(line, marker)
        if report is None:
            boot.log.append(line)
            step.log.append(line)
            continue
        word, rest = report
        if word in ("insmod", "rmmod"):
            if report.number is None:
                continue
            boot.last = report.number
            module = boot.modules.setdefault(boot.last, ModuleSteps())
            step = Step()
            if word == "insmod":
                module.load = step
            else:
                module.removal = step
        elif word == "test":
            if report.number is not None:
                test = boot.tests.setdefault(report.number, TestSteps())
                step, pieces = test.step, ""
        elif word in ("out", "out+"):
            pieces += rest
            if word == "out":
                test.output.append(printed(pieces).encode(errors="surrogateescape").decode(errors="replace"))
                pieces = ""
        elif word == "flood":
            test.flood = True
        elif word == "ended":
            test.status, test.seconds = _ended(rest)
        elif word == "tested":
            boot.tested = True
            # (what comes now is as if there had been no tests)
            step = module.load or step
        elif word == "untested":
            boot.untested = rest
        elif word == "kunit":
            suite, _, text = rest.partition(" ")
            boot.kunit.setdefault(suite, []).append(text)
        elif word == "errno":
            step.killed = rest == "killed"
            step.errno = report.number
        elif word == "pid":
            step.pid = report.number
        elif word == "late":
            step.late = rest.strip()
        elif word == "stack":
            step.stack.append(rest)
        elif word == "tainted":
            step.tainted = report.number
        elif word == "lockdep":
            step.lockdep = report.number != 0
            boot.lockdep = step.lockdep if boot.last is None else boot.lockdep
        elif word == "line":
            module.line = rest
        elif word == "held":
            module.held = rest
        elif word == "taints":
            module.taints = rest
        elif word == "message":
            module.messages.append(rest)
        elif word == "section":
            name, _, address = rest.rpartition(" ")
            module.sections[name] = address
        elif word == "leak":
            boot.leaks.append(rest)
        elif word == "remains":
            number, _, thing = rest.partition(" ")
            owners = boot.tests if number.startswith("test") else boot.modules
            digits = number.removeprefix("test")
            place = Report("", digits).number
            owner = None if place is None else owners.get(place)
            (owner or boot).remains.append(thing)
        elif word == "ready":
            boot.release = rest
        elif word in ("shell", "left"):
            boot.shell = word == "shell"
        elif word in ("over", "done"):
            boot.over, boot.done = boot.over or word == "over", boot.done or word == "done"
        elif word == "repeated":
            repeated = report.number
    again = sum(line.startswith(f"{marker}: again ") for line in lines)
    # (kernel/printk/printk.c)
    flooded = any(_DROPPED.fullmatch(line) for line in boot.log)
    boot.lost = flooded and (not boot.done or again != (repeated or 0))
    return boot


def _ended(rest: str) -> tuple[str, float]:
    """How a test ended, and the seconds between the two times of the guest that follow."""
    status, *times = rest.split() or [""]
    try:
        begun, ended = map(float, times)
    except ValueError:
        return status, 0.0
    return status, round(ended - begun, 2)
