# SPDX-License-Identifier: GPL-2.0-only
"""Loads modules in a kernel that is booted for them, and tells what the kernel did with each.

One boot serves all modules. guest_init.sh reports into the kernel log, so each module's own lines are those
between two reports.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from kbuildpy.elf import ModuleImage
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.module_files import module_name
from kbuildpy.vm.asynchronous import is_asynchronous
from kbuildpy.vm.initramfs import busybox_for, make_initramfs
from kbuildpy.vm.machine import machine_of_image
from kbuildpy.vm.qemu import boot
from tests.support.guest_kernels import EXPEDITED

INIT = Path(__file__).with_name("guest_init.sh").read_bytes()
"""The guest's process 1."""
_REPORT = "kbuildpy: "


@dataclass(frozen=True)
class Load:
    """A module file to load, and its parameters as insmod takes them (`count=3`)."""

    file: Path
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Attempt:
    """What came of one insmod or rmmod.

    `status` is 0, insmod's errno, or rmmod's exit status; None if the kernel died or hung in it. `message` is
    what the program said, `log` the kernel's lines meanwhile, but for those that have nothing to do with it.
    busybox's insmod tries init_module(2) after finit_module(2) failed, so the kernel says twice why it refuses a
    module.
    """

    status: int | None = None
    message: str = ""
    log: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModuleReport:
    """How one module fared. `line` is its line of /proc/modules and `taints` its taint letters, both empty
    unless it was loaded; `rmmod` is None unless its removal was tried."""

    name: str
    insmod: Attempt
    line: str = ""
    taints: str = ""
    rmmod: Attempt | None = None


@dataclass(frozen=True)
class LoadReport:
    """One report for each `Load`, in order, as far as the kernel got; `tainted` is /proc/sys/kernel/tainted in
    the end, None if the kernel did not get there; `log` is everything it logged; `seconds` how long it ran."""

    modules: tuple[ModuleReport, ...]
    tainted: int | None
    log: tuple[str, ...]
    seconds: float


def load_modules(
    kernel: Path, loads: Sequence[Load], *, parameters: tuple[str, ...] = (), timeout: float = 120
) -> LoadReport:
    """Boot the image `kernel`, load the modules in the order given, and remove those that loaded in reverse.

    `parameters` are added to the kernel's command line.
    """
    contents = {}
    listed = []
    for number, load in enumerate(loads):
        # A number of its own for each: two files of one name may be tried in one boot.
        path = f"modules/{number}/{load.file.name}"
        contents[path] = load.file.read_bytes()
        listed.append(" ".join([module_name(load.file.name), f"/{path}", *load.parameters]) + "\n")
    contents["modules/list"] = "".join(listed).encode()
    initramfs = make_initramfs(contents, init=INIT, busybox=busybox_for(machine_of_image(kernel)))
    booted = boot(kernel, initramfs, parameters=(EXPEDITED, *parameters), timeout=timeout)
    modules, tainted = read_reports(booted.log)
    return LoadReport(modules, tainted, booted.log, booted.seconds)


def in_dependency_order(files: Iterable[Path]) -> list[Path]:
    """`files` so that a module comes after those it depends on; dependencies that are not among them are ignored."""
    of_name = {module_name(file.name): file for file in files}
    graph = {name: [on for on in _depends(file) if on in of_name] for name, file in of_name.items()}
    try:
        return [of_name[name] for name in TopologicalSorter(graph).static_order()]
    except CycleError as cycle:
        raise KbuildError(f"modules depend on each other in a circle: {' -> '.join(cycle.args[1])}") from cycle


def _depends(file: Path) -> list[str]:
    values = ModuleImage.from_path(file).modinfo_values("depends")
    return [name for value in values for name in value.split(",") if name]


def read_reports(log: Iterable[str]) -> tuple[tuple[ModuleReport, ...], int | None]:
    """Take guest_init.sh's reports out of a kernel log: the modules' reports, and the final taint mask."""
    reports: list[ModuleReport] = []
    tainted = None
    subject = verb = ""  # whose insmod or rmmod the log is in, if in any
    lines: list[str] = []

    def amend(attempt: Attempt) -> None:
        if verb == "insmod":
            reports[-1] = replace(reports[-1], insmod=attempt)
        elif verb == "rmmod":
            # A name can have been tried more than once; only the attempt that loaded it can be undone.
            where = next(i for i, report in enumerate(reports) if report.name == subject and report.insmod.status == 0)
            reports[where] = replace(reports[where], rmmod=attempt)

    for line in log:
        if not line.startswith(_REPORT):
            if not is_asynchronous(line):
                lines.append(line)
            continue
        word, _, rest = line.removeprefix(_REPORT).partition(" ")
        if word in ("insmod", "rmmod"):
            subject, verb, lines = rest, word, []
            if word == "insmod":
                reports.append(ModuleReport(subject, Attempt()))
            amend(Attempt())
        elif word == "status":
            status, _, message = rest.partition(" ")
            amend(Attempt(int(status), message, tuple(lines)))
            verb = ""
        elif word == "line":
            reports[-1] = replace(reports[-1], line=rest)
        elif word == "taints":
            reports[-1] = replace(reports[-1], taints=rest)
        elif word == "tainted":
            tainted = int(rest)
    if verb:
        amend(Attempt(log=tuple(lines)))
    return tuple(reports), tainted
