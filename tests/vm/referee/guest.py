# SPDX-License-Identifier: GPL-2.0-only
"""Asks a real kernel, in QEMU: one boot loads all modules, and tells of each what the kernel said.

Where the kernel dies of a module, the rest goes on in another boot; a test counts them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from kbuildpy.run import run
from kbuildpy.vm.asynchronous import is_asynchronous
from kbuildpy.vm.cpio import archive, character_device, directory, file
from kbuildpy.vm.machine import Machine, machine_of_image
from kbuildpy.vm.qemu import boot
from tests.support.guest_kernels import EXPEDITED
from tests.vm.referee.cases import Case, Enforce, Load, Step, Unload, steps_of

# A kernel that was damaged is not to be asked any more.
PARAMETERS = (EXPEDITED, "oops=panic")
_REPORT = "referee: "
# What a kernel says of itself in its first seconds, whatever it is asked to do meanwhile.


@dataclass(frozen=True)
class Answer:
    """What the kernel did with a module. `errno` is a number, None if the kernel died of it (`died` says how);
    `log` its lines, `line` that of /proc/modules, `taint` the module's letters, `tainted` the kernel's mask then;
    `unloaded` is the errno of the removal, None if that was not tried, `farewell` what was logged meanwhile, and `left`
    the kernel's mask after it."""

    step: Load
    errno: int | None = None
    log: tuple[str, ...] = ()
    tainted: int = 0
    line: str = ""
    taint: str = ""
    unloaded: int | None = None
    farewell: tuple[str, ...] = ()
    left: int | None = None
    died: str = ""


@dataclass(frozen=True)
class Removal:
    """What the kernel did when it was asked to remove a module that others needed."""

    name: str
    errno: int | None = None
    log: tuple[str, ...] = ()


@dataclass
class Boot:
    """One boot: the kernel's taints when it began, what was answered, and how many seconds it took."""

    tainted: int = 0
    events: list[Answer | Removal] = field(default_factory=list)
    seconds: float = 0
    complete: bool = False

    def answers(self) -> list[Answer]:
        """Those to loading."""
        return [event for event in self.events if isinstance(event, Answer)]


def ask(
    image: Path,
    cases: Sequence[Case],
    *,
    parameters: Iterable[str] = (),
    timeout: float = 300,
    memory: int = 512,
    directly: bool = True,
) -> list[Boot]:
    """What the kernel `image` says to `cases`: one boot, and one more for every case that it died of. The machine has
    `memory` MiB. Unless the kernel is started `directly`, it has random addresses."""
    boots = []
    remaining = list(cases)
    while remaining:
        one = _boot(
            image, steps_of(remaining), (*PARAMETERS, *parameters), timeout=timeout, memory=memory, directly=directly
        )
        boots.append(one)
        if one.complete:
            break
        tried = {answer.step.case for answer in one.answers()}
        assert tried, "the kernel died before it was asked anything"
        remaining = [case for case in remaining if case.name not in tried]
    return boots


def _boot(
    image: Path, steps: Sequence[Step], parameters: Iterable[str], *, timeout: float, memory: int, directly: bool
) -> Boot:
    lines: list[str] = []
    modules: list[bytes] = []
    for step in steps:
        if isinstance(step, Enforce):
            lines.append("enforce\n")
            continue
        if isinstance(step, Unload):
            lines.append(f"unload {step.name}\n")
            continue
        lines.append(f"load {len(modules)} {int(step.keep)} {step.call} {step.args}".rstrip(" ") + "\n")
        modules.append(step.contents)
    initramfs = archive(
        [
            file("init", _guest(machine_of_image(image)), executable=True),
            character_device("dev/console", 5, 1),
            *(directory(mount_point) for mount_point in ("proc", "sys")),
            file("steps", "".join(lines).encode()),
            *(file(f"m/{number}", contents) for number, contents in enumerate(modules)),
        ]
    )
    booted = boot(image, initramfs, parameters=tuple(parameters), memory=memory, timeout=timeout, directly=directly)
    loads = [step for step in steps if isinstance(step, Load)]
    return replace(read_log(booted.log, loads), seconds=booted.seconds)


def read_log(log: Iterable[str], loads: Sequence[Load]) -> Boot:
    """Take the guest's reports out of a kernel's log."""
    result = Boot()
    lines: list[str] = []
    verb = ""
    kept = False

    def amend(**changes: object) -> None:
        result.events[-1] = replace(result.events[-1], **changes)  # type: ignore[arg-type]

    for line in log:
        if not line.startswith(_REPORT):
            if not is_asynchronous(line):
                lines.append(line)
            continue
        word, _, rest = line.removeprefix(_REPORT).partition(" ")
        if word == "load":
            result.events.append(Answer(loads[int(rest)], died="the machine"))
            verb, lines, kept = word, [], loads[int(rest)].keep
        elif word == "status":
            amend(errno=int(rest), log=tuple(lines), died="")
            verb, lines = "", []
        elif word == "tainted" and not result.events:
            result.tainted = int(rest)
        elif word in ("tainted", "line", "taint"):
            amend(**{word: int(rest) if word == "tainted" else rest})
        elif word == "left":
            if isinstance(result.events[-1], Answer):
                amend(left=int(rest))
        elif word == "unload":
            verb, lines = word, []
            last = result.events[-1]
            if kept or not isinstance(last, Answer) or last.errno != 0 or last.unloaded is not None:
                result.events.append(Removal(rest))
        elif word == "unloaded":
            last = result.events[-1]
            if isinstance(last, Answer):
                amend(unloaded=int(rest), farewell=tuple(lines))
            else:
                amend(errno=int(rest), log=tuple(lines))
            verb, lines = "", []
        elif word == "died":
            amend(died=rest)
        elif word == "done":
            result.complete = True
    if verb and isinstance(result.events[-1], Answer):
        field = "log" if verb == "load" else "farewell"
        amend(**{field: tuple(lines)}, died=result.events[-1].died or "the machine")
    return result


def _guest(machine: Machine) -> bytes:
    """The guest's process 1."""
    compiler = "gcc" if machine.native else machine.compiler
    with TemporaryDirectory() as name:
        source = Path(__file__).with_name("guest.c")
        run([compiler, "-static", "-Os", "-Wall", "-o", f"{name}/guest", source])
        return Path(name, "guest").read_bytes()
