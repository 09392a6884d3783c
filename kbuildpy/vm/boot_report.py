# SPDX-License-Identifier: GPL-2.0-only
"""A guest's reports of one boot as values: the steps of each module and each test."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class GuestStep:
    """One call of the kernel for a module, to load or to remove it; or what the kernel did while a test ran."""

    errno: int | None = None
    """The errno; 0 for success; None without an answer: the caller was `killed`, is `late`, or the kernel died."""
    killed: bool = False
    """The kernel killed the process that made the call."""
    late: str = ""
    """The state of the process that did not come back in time; of a test, of one that no signal ended."""
    stack: list[str] = field(default_factory=list)
    """Where that process was in the kernel."""
    log: list[str] = field(default_factory=list)
    """The kernel's lines from here to the next step."""
    tainted: int | None = None
    """The kernel's taint mask afterwards."""
    lockdep: bool | None = None
    """Whether lockdep is still active afterwards; None: the kernel has no lockdep."""
    pid: int | None = None
    """The process that made the call."""

    @property
    def answered(self) -> bool:
        """Whether the kernel survived the call and reported its result."""
        return self.errno is not None or self.killed or bool(self.late)


@dataclass
class ModuleSteps:
    """The steps of one module."""

    load: GuestStep | None = None
    """The step of loading it; None if it was not tried."""
    removal: GuestStep | None = None
    """The step of removing it; None if it was not tried."""
    line: str = ""
    """Its line of /proc/modules when it was loaded."""
    held: str = ""
    """That line when it could not be removed."""
    taints: str = ""
    """Its taint letters."""
    messages: list[str] = field(default_factory=list)
    """Its lines of dynamic debug's control file."""
    sections: dict[str, str] = field(default_factory=dict)
    """The addresses of its sections in the kernel."""
    remains: list[str] = field(default_factory=list)
    """Things that it created and left behind."""

    @property
    def gone(self) -> bool:
        """Whether no part of it is left in the kernel: it was removed, or refused."""
        return (self.removal.errno == 0) if self.removal else bool(self.load and self.load.errno)


@dataclass
class TestSteps:
    """What one test went through."""

    __test__ = False  # (to pytest)

    step: GuestStep = field(default_factory=GuestStep)
    """The kernel's step during the test."""
    output: list[str] = field(default_factory=list)
    """Its lines."""
    status: str = ""
    """How it ended, by the guest's shell: an exit status, `late`, or `flood`; "" if the guest ended before."""
    flood: bool = False
    """It was stopped because it printed too much."""
    seconds: float = 0.0
    remains: list[str] = field(default_factory=list)
    """Things that it created and left behind."""


@dataclass
class BootReport:
    """One boot."""

    release: str = ""
    """The kernel's release; "" if the guest did not start to load modules."""
    functions: dict[str, int] = field(default_factory=dict)
    """The addresses of functions of the kernel that a debugger needs, by name."""
    modules: dict[int, ModuleSteps] = field(default_factory=dict)
    """By their numbers."""
    last: int | None = None
    """The number of the module that was called last."""
    over: bool = False
    """The guest gave up."""
    done: bool = False
    """The guest came to its end."""
    shell: bool = False
    """It was ended from its shell."""
    hung: bool = False
    """It stopped responding."""
    leaks: list[str] = field(default_factory=list)
    """What kmemleak lists."""
    remains: list[str] = field(default_factory=list)
    """Things that one of several modules left behind; it is not known which module."""
    log: list[str] = field(default_factory=list)
    """The kernel's whole log."""
    tests: dict[int, TestSteps] = field(default_factory=dict)
    """By their numbers."""
    tested: bool = False
    """The tests are over."""
    untested: str = ""
    """The names of the missing modules because of which no test was run."""
    lockdep: bool | None = None
    """Whether lockdep was active before the first module was loaded; None: the kernel has no lockdep."""
    lost: bool = False
    """Reports were lost in a flood of messages."""
    seen: list[str] = field(default_factory=list)
    """What the module saw that watches the others."""
    watched: bool = False
    """It has told all of that."""
    kunit: dict[str, list[str]] = field(default_factory=dict)
    """The results of KUnit's suites in debugfs, by name."""

    @property
    def testing(self) -> bool:
        """Whether a test ended the boot."""
        return bool(self.tests) and not self.tested
