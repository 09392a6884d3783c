# SPDX-License-Identifier: GPL-2.0-only
"""What a guest has reported of one boot, as values: what each module and each test went through."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class GuestStep:
    """One call of the kernel for a module, to load or to remove it; or what the kernel did while a test ran."""

    errno: int | None = None
    """0 for success; None where there was no answer: the caller was `killed`, is `late`, or the kernel died."""
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
    """Whether lockdep still looks afterwards; None: the kernel has none."""
    pid: int | None = None
    """The process that made the call."""

    @property
    def answered(self) -> bool:
        """Whether the kernel lived to tell how it went."""
        return self.errno is not None or self.killed or bool(self.late)


@dataclass
class ModuleSteps:
    """What one module went through."""

    load: GuestStep | None = None
    removal: GuestStep | None = None
    """None where it was not tried."""
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
    """What came with it and is still there in the end."""

    @property
    def gone(self) -> bool:
        """Whether the kernel has nothing of it any more: it was removed, or not taken."""
        return (self.removal.errno == 0) if self.removal else bool(self.load and self.load.errno)


@dataclass
class TestSteps:
    """What one test went through."""

    __test__ = False  # (to pytest)

    step: GuestStep = field(default_factory=GuestStep)
    """What the kernel did meanwhile."""
    output: list[str] = field(default_factory=list)
    """Its lines."""
    status: str = ""
    """How it ended, by the guest's shell: a number, `late`, or `flood`; "" if the guest did not live to tell."""
    flood: bool = False
    """It was ended for the amount that it printed."""
    seconds: float = 0.0
    remains: list[str] = field(default_factory=list)
    """What came with it and is still there in the end."""


@dataclass
class BootReport:
    """One boot."""

    release: str = ""
    """What the kernel calls itself; "" if it did not get as far as to start loading."""
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
    """Nothing came from it any more."""
    leaks: list[str] = field(default_factory=list)
    """What kmemleak lists."""
    remains: list[str] = field(default_factory=list)
    """What is there in the end and came with one of the modules; it is not known with which."""
    log: list[str] = field(default_factory=list)
    """All that the kernel said."""
    tests: dict[int, TestSteps] = field(default_factory=dict)
    """By their numbers."""
    tested: bool = False
    """The tests are over."""
    untested: str = ""
    """The names of the modules for want of which no test was run."""
    lockdep: bool | None = None
    """Whether lockdep looked before anything was loaded; None: the kernel has none."""
    lost: bool = False
    """Reports were lost in a flood of messages."""
    kunit: dict[str, list[str]] = field(default_factory=dict)
    """What debugfs has of KUnit's suites, by name."""

    @property
    def testing(self) -> bool:
        """Whether it did not get beyond a test."""
        return bool(self.tests) and not self.tested
