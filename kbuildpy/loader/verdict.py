"""What the loader check answers, and how a stage says no.

A stage returns, or raises `Refusal`: the kernel's own errno and the line that it logs. `Undefined` is for what the
kernel does not look at and comes to grief over: it reads or writes outside the module, and what happens then depends on
the machine. Such a module is not accepted, and no errno is promised.

In the lines, a number that only the running kernel knows (an address) is written as its name in angle brackets,
`<loc>`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Refusal(Exception):
    """The kernel refuses the module in `stage` with `errno` (its name), logging `line` (None: it says nothing)."""

    def __init__(self, stage: str, errno: str, line: str | None, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.stage = stage
        self.errno = errno
        self.line = line
        self.reason = reason
        self.hint = hint


class Undefined(Exception):
    """In `stage` the kernel would use what is not there, unchecked."""

    def __init__(self, stage: str, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.stage = stage
        self.reason = reason
        self.hint = hint


class Placed(NamedTuple):
    """Where a section goes: the type of memory as the kernel calls it ("text", "rodata", "ro_after_init", "data",
    "init_text", "init_rodata", "init_data", "percpu"), the offset there and the size, in bytes."""

    section: str
    memory: str
    offset: int
    size: int


class Exclusion(NamedTuple):
    """Another file that is refused with ENOEXEC while a module is loaded, the symbol that both export, and what the
    kernel logs then."""

    file: str
    symbol: str
    log: str


@dataclass(frozen=True)
class Verdict:
    """What one kernel would say to one module.

    `errno` is the name of the errno and `log` the line that goes with it (None: it logs none, or, with errno None and
    not accepted, the kernel's behaviour is undefined); `lines` is everything that it logs, and `warnings`, of an
    accepted module, what among it is about something else than a taint. `taints` are the letters
    that loading sets in the kernel, `module_taints` those of the module, as /proc/modules shows them. `requires` are
    the modules that must be loaded before, in an order that works. `unchecked` are the checks that were not made,
    each with the fact that was missing. `exports` are the symbols that an accepted module exports, `excludes` what
    cannot be loaded beside it of the files that were checked with it. `size` is what /proc/modules shows, None when it
    was not got that far. A file that is not `readable` was not judged at all, and `reason` is why.
    """

    file: str
    kernel: str
    name: str
    accepted: bool
    errno: str | None = None
    log: str | None = None
    stage: str | None = None
    reason: str | None = None
    hint: str | None = None
    taints: str = ""
    module_taints: str = ""
    requires: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    exports: tuple[str, ...] = ()
    excludes: tuple[Exclusion, ...] = ()
    size: int | None = None
    sections: tuple[Placed, ...] = ()
    memory: Mapping[str, int] = field(default_factory=dict)
    readable: bool = True

    def to_json(self) -> dict[str, object]:
        """The keys of a verdict (the interface's), and what there is beyond them."""
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
            "unchecked": list(self.unchecked),
            "name": self.name,
            "lines": list(self.lines),
            "warnings": list(self.warnings),
            "excludes": [item._asdict() for item in self.excludes],
            "module_taints": self.module_taints,
            "size": self.size,
            "memory": dict(self.memory),
            "sections": [[item.section, item.memory, item.offset, item.size] for item in self.sections],
        }
