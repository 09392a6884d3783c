# SPDX-License-Identifier: GPL-2.0-only
"""The result of the loader check (`Verdict`), and the exceptions that a stage raises to end it.

A stage raises `Refusal`, with the kernel's errno and log line, if the kernel refuses the module. It raises `Undefined`
if the kernel would read or write outside of the module without a check: the result then depends on the memory contents.
Such a module is not accepted, and its verdict has no errno.

A number in a log line that only the running kernel knows (an address) is written as a name in angle brackets: `<loc>`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from kbuildpy.loader.facts import Unchecked

PASSED, ENDED, NOT_REACHED = "passed", "ended", "not reached"
"""What became of a module in a stage."""


class Refusal(Exception):
    """The kernel refuses the module in `stage` with `errno` (its name), and logs `line` (None: it logs nothing)."""

    def __init__(self, stage: str, errno: str, line: str | None, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.stage = stage
        self.errno = errno
        self.line = line
        self.reason = reason
        self.hint = hint


class Undefined(Exception):
    """In `stage` the kernel would use memory outside of the module or an invalid value, without a check."""

    def __init__(self, stage: str, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.stage = stage
        self.reason = reason
        self.hint = hint


class Placed(NamedTuple):
    """The place of a section in memory."""

    section: str
    """Its name."""
    memory: str
    """The type of memory as the kernel calls it: "text", "rodata", "ro_after_init", "data", "init_text", "init_rodata",
    "init_data", "percpu"; up to 6.3 "core" and "init"."""
    offset: int
    """Bytes from the beginning of that memory."""
    size: int
    """In bytes."""


class Exclusion(NamedTuple):
    """Another module file that the kernel refuses with ENOEXEC while the module is loaded."""

    file: str
    """The path of the other file."""
    symbol: str
    """The first symbol that both export."""
    log: str
    """The line that the kernel logs."""


@dataclass(frozen=True)
class Verdict:
    """The result of loading one module into one kernel."""

    file: str
    """The path as it was given."""
    kernel: str
    """The kernel's release."""
    name: str
    """The module's name; "" if it cannot be read from the file."""
    accepted: bool
    """Whether the kernel would load it."""
    errno: str | None = None
    """The name of the errno of a refusal. None for an accepted module, and where the behaviour is undefined."""
    log: str | None = None
    """The kernel's line that belongs to the refusal; None if it logs none."""
    stage: str | None = None
    """The kernel's function that refuses the module."""
    reason: str | None = None
    """Why it is refused, or why the file could not be read."""
    hint: str | None = None
    """What the user can do about it."""
    taints: str = ""
    """The letters of the taints that loading sets in the kernel."""
    module_taints: str = ""
    """The letters of the module's taints, as /proc/modules shows them."""
    requires: tuple[str, ...] = ()
    """The modules that must be loaded before, each after those that it needs."""
    unchecked: tuple[Unchecked, ...] = ()
    """The checks that were not made."""
    lines: tuple[str, ...] = ()
    """All lines that the kernel logs."""
    warnings: tuple[str, ...] = ()
    """The `lines` that are not about taints; () for a module that is not accepted."""
    exports: tuple[str, ...] = ()
    """The symbols that an accepted module exports."""
    excludes: tuple[Exclusion, ...] = ()
    """The other files of the same check that cannot be loaded beside it."""
    size: int | None = None
    """Bytes as /proc/modules shows them; None where that is not known."""
    sections: tuple[Placed, ...] = ()
    """The sections that are kept in memory."""
    memory: Mapping[str, int] = field(default_factory=dict)
    """Bytes of each type of memory."""
    stages: tuple[str, ...] = ()
    """The functions that the kernel's load_module() calls, in their order; () for a file that cannot be read."""
    passed: int = 0
    """How many of the `stages` the module has passed. The next one, if there is one, ended the loading."""
    readable: bool = True
    """Whether the file was judged at all: False for one that cannot be read."""

    @property
    def passage(self) -> tuple[tuple[str, str], ...]:
        """Each of the `stages`, and what became of the module there: `PASSED`, `ENDED` or `NOT_REACHED`."""
        words = [PASSED] * self.passed + [ENDED] + [NOT_REACHED] * len(self.stages)
        return tuple(zip(self.stages, words, strict=False))

    def to_json(self) -> dict[str, object]:
        """Return the object that `--format json` prints for the verdict."""
        return {
            "file": self.file,
            "kernel": self.kernel,
            "accepted": self.accepted,
            "errno": self.errno,
            "log": self.log,
            "stage": self.stage,
            "reason": self.reason,
            "hint": self.hint,
            "taints": self.taints,
            "requires": list(self.requires),
            "unchecked": [item.sentence for item in self.unchecked],
            "name": self.name,
            "lines": list(self.lines),
            "warnings": list(self.warnings),
            "excludes": [item._asdict() for item in self.excludes],
            "module_taints": self.module_taints,
            "size": self.size,
            "memory": dict(self.memory),
            "sections": [[item.section, item.memory, item.offset, item.size] for item in self.sections],
            "stages": [list(item) for item in self.passage],
        }
