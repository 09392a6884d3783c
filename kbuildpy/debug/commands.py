# SPDX-License-Identifier: GPL-2.0-only
"""The commands that debug a module on the machine where it runs, tool by tool: text that a person pastes.

Nothing here runs one of them. What cannot be had is said instead: in `obstacles` for gdb's part, in a part's notes for
the others.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from kbuildpy.debug.gdb_commands import add_symbol_file, read_memory
from kbuildpy.debug.live_tools import Site, TraceEvent, debug_message_commands, log_commands, trace_commands
from kbuildpy.debug.loaded_file import LoadedFile
from kbuildpy.debug.running_kernel import RunningKernel
from kbuildpy.debug.running_module import RunningModule
from kbuildpy.debug.subjects import Subject
from kbuildpy.debug.tool_part import ToolPart
from kbuildpy.kernel.packages import debug_kernel_hint


class Obstacle(NamedTuple):
    """What stands in the way of a debugger, and what to do."""

    words: str
    hint: str


@dataclass(frozen=True)
class Debuggee:
    """A module and the kernel that it is debugged in."""

    name: str
    kernel: RunningKernel
    running: RunningModule | None
    """None if it is not loaded."""
    file: LoadedFile | None
    vmlinux: Subject | None
    """The running kernel with its symbols; None where it is not to be had."""
    is_built_in: bool = False
    copy: Path = Path("module.ko")
    """Where a copy of the file goes, if debuggers cannot read it as it is."""

    @cached_property
    def preparation(self) -> list[str]:
        """The commands of a shell that make the copy; none where the file will do."""
        return self.file.preparation(self.copy) if self.file else []

    @property
    def symbol_file(self) -> Path | None:
        """The file that debuggers read."""
        if self.file is None:
            return None
        return self.copy if self.preparation else self.file.debug_file

    @cached_property
    def obstacles(self) -> list[Obstacle]:
        """What is missing for gdb."""
        return [*_of_module(self), *_of_file(self), *_of_memory(self.kernel)]

    @property
    def has_addresses(self) -> bool:
        """Whether the addresses of its sections are known."""
        running = self.running
        return running is not None and bool(running.sections) and not running.hidden


def gdb_commands(debuggee: Debuggee) -> list[str]:
    """gdb's own commands: they open the running kernel's memory and read the module's symbols. None where that cannot
    work."""
    file, symbol_file = debuggee.file, debuggee.symbol_file
    if not debuggee.has_addresses or file is None or symbol_file is None or list(_of_memory(debuggee.kernel)):
        return []
    assert debuggee.running
    vmlinux = debuggee.vmlinux.file.absolute() if debuggee.vmlinux else None
    return [
        # (a question would take the next line that is pasted for its answer)
        "set confirm off",
        *read_memory(vmlinux, _shift(debuggee)),
        add_symbol_file(symbol_file, file.subject.image, debuggee.running.sections),
    ]


def parts(
    debuggee: Debuggee, sites: Sequence[Site] | None, events: Sequence[TraceEvent], *, script: Path | None = None
) -> list[ToolPart]:
    """What to type, for each tool.

    `sites` are the messages of dynamic debug in the module, None where they are not known; `events` its trace events.
    With `script`, that file has gdb's commands.
    """
    name, kernel, file = debuggee.name, debuggee.kernel, debuggee.file
    path = file.subject.file.absolute() if file else None
    found = [
        _gdb(debuggee, script),
        _drgn(debuggee),
        debug_message_commands(name, kernel, sites, path),
        trace_commands(name, kernel, file.function if file else "", events, path),
        log_commands(name, path),
        *_kgdb(debuggee),
    ]
    return [part.escaped() for part in found]


def _gdb(debuggee: Debuggee, script: Path | None) -> ToolPart:
    part = ToolPart("gdb", "gdb, over the memory of the running kernel (it reads; it does not stop anything)")
    inside = gdb_commands(debuggee)
    if not inside:
        return replace(part, notes=("what is missing is told below",))
    notes = ["gdb keeps what it has read: core-file /proc/kcore reads it anew"]
    kernel, file = debuggee.kernel, debuggee.file
    if debuggee.vmlinux is None:
        notes.append(f"without the kernel's own symbols: {debug_kernel_hint(kernel.release, kernel.build_id)}")
    elif debuggee.vmlinux.debug is None:
        notes.append(f"{debuggee.vmlinux.file} has no debug information: the kernel's own types are not known")
    elif kernel.text is None:
        notes.append("the kernel hides where its code is: addresses of its own may be wrong, the module's are right")
    if kernel.lacks("CONFIG_KGDB"):
        notes.append("this kernel has no kgdb: for breakpoints, kbuildpy run FILE --gdb debugs the module in QEMU")
    if script is not None:
        commands = [shlex.join(["gdb", "-x", str(script)])]
        inside = []
    else:
        opening, inside = inside[1:-1], [inside[0], inside[-1]]
        if len(opening) == 2 and not _shift(debuggee):
            assert debuggee.vmlinux
            commands = [shlex.join(["gdb", str(debuggee.vmlinux.file.absolute()), "/proc/kcore"])]
        else:
            commands = [shlex.join(["gdb", *(word for line in opening for word in ("-ex", line))])]
    if file and file.variable:
        inside.append(f"print {file.variable.name}" if file.has_debug_info else f"x/4xg &{file.variable.name}")
    return replace(
        part, commands=(*debuggee.preparation, *commands), prompt="(gdb)", inside=tuple(inside), notes=tuple(notes)
    )


def _drgn(debuggee: Debuggee) -> ToolPart:
    """Options and functions that drgn 0.0.22 has, that of Debian 12."""
    part = ToolPart("drgn", "drgn, Python over the same memory (package python3-drgn)")
    kernel = debuggee.kernel
    if list(_of_memory(kernel)):
        return replace(part, notes=("drgn needs /proc/kcore as well",))
    if debuggee.vmlinux is None:
        hint = debug_kernel_hint(kernel.release, kernel.build_id)
        return replace(part, notes=(f"drgn needs the kernel with debug information: {hint}",))
    words = ["drgn", "-s", str(debuggee.vmlinux.file.absolute())]
    file = debuggee.file
    variable = None
    if file and file.has_debug_info:
        words += ["-s", str(debuggee.symbol_file)]
        variable = file.variable
    if variable:
        named = [variable.name, *([variable.source] if variable.source else [])]
        inside = [f"{variable.name} = prog.variable({', '.join(map(_quoted, named))})", f"print({variable.name})"]
    else:
        inside = [
            'modules = list_for_each_entry("struct module", prog["modules"].address_of_(), "list")',
            f'print(next(each for each in modules if each.name.string_() == b"{debuggee.name}"))',
        ]
    commands = (*debuggee.preparation, shlex.join(words))
    return replace(part, commands=commands, prompt=">>>", inside=tuple(inside))


def _kgdb(debuggee: Debuggee) -> Iterator[ToolPart]:
    kernel = debuggee.kernel
    if "CONFIG_KGDB" not in kernel.config:
        return
    part = ToolPart("kgdb", "kgdb, which stops the whole machine: gdb runs on another one, at the end of a serial line")
    if kernel.is_locked_down:
        yield replace(part, notes=(f"the kernel is locked down ({kernel.lockdown}), and refuses kgdb",))
        return
    commands = ["echo g > /proc/sysrq-trigger"]
    if "CONFIG_KGDB_SERIAL_CONSOLE" in kernel.config:
        commands.insert(0, "echo ttyS0,115200 > /sys/module/kgdboc/parameters/kgdboc")
    inside = ["set serial baud 115200", "target remote /dev/ttyS0", *gdb_commands(debuggee)[-1:]]
    yield replace(part, commands=tuple(commands), prompt="(gdb)", inside=tuple(inside))


def _of_module(debuggee: Debuggee) -> Iterator[Obstacle]:
    name, running, release = debuggee.name, debuggee.running, debuggee.kernel.release
    if debuggee.is_built_in:
        yield Obstacle(
            f"{name} is built into the kernel {release}", "its symbols are the kernel's own: gdb VMLINUX /proc/kcore"
        )
    elif running is None:
        load = f"insmod {shlex.quote(str(debuggee.file.subject.file))}" if debuggee.file else f"modprobe {name}"
        yield Obstacle(f"{name} is not loaded in the running kernel {release}", f"load it, as root: {load}")
    elif running.unreadable:
        yield Obstacle(
            f"only root can read where {name} is: /sys/module/{name}/sections", "run this command as root, with sudo"
        )
    elif running.hidden:
        yield Obstacle(
            f"the kernel hides where {name} is: /sys/module/{name}/sections gives 0 for every address (kptr_restrict)",
            "as root, with CAP_SYSLOG: sysctl kernel.kptr_restrict=1",
        )
    elif not running.sections:
        yield Obstacle(
            f"the kernel does not tell where {name} is: /sys/module/{name}/sections is empty",
            "it needs CONFIG_KALLSYMS and a mounted /sys",
        )


def _of_file(debuggee: Debuggee) -> Iterator[Obstacle]:
    name, file, running, release = debuggee.name, debuggee.file, debuggee.running, debuggee.kernel.release
    if debuggee.is_built_in:
        return
    if file is None:
        yield Obstacle(
            f"there is no file of the module {name} in build/{release}, nor in /lib/modules/{release}",
            f"name the file that was loaded: kbuildpy debug PATH/{name}.ko",
        )
        return
    if running is not None and file.is_same_build is False:
        what = (
            "other debug information or another build of the same sources" if file.has_same_sources else "another build"
        )
        yield Obstacle(
            f"{file.subject.file} is not what is loaded as {name}: its {_differing(file)} differs ({what}); "
            "variables and lines may be wrong",
            "name the file that was loaded, or load this one",
        )
    if not file.has_debug_info:
        installed = "/lib/modules/" in str(file.subject.file.absolute())
        yield Obstacle(
            f"{file.subject.file} has no debug information, and there is none in a file of its own",
            debug_kernel_hint(release, file.subject.build_id)
            if installed
            else "build it with KCFLAGS=-g, and load that",
        )


def _of_memory(kernel: RunningKernel) -> Iterator[Obstacle]:
    # (security/security.c: "/proc/kcore access" is refused from confidentiality on)
    if kernel.lockdown == "confidentiality":
        yield Obstacle(
            "the kernel is locked down (confidentiality): /proc/kcore cannot be read, and kprobes are refused",
            "boot with lockdown=none, or without Secure Boot; or debug it in QEMU: kbuildpy run FILE --gdb",
        )
    elif not kernel.shows_memory:
        yield Obstacle(
            "there is no /proc/kcore (CONFIG_PROC_KCORE, and not in a container)",
            "debug it in QEMU: kbuildpy run FILE --gdb",
        )


def _differing(file: LoadedFile) -> str:
    return "build id" if file.subject.build_id and file.running and file.running.build_id else "srcversion"


def _shift(debuggee: Debuggee) -> int:
    """Bytes by which the kernel was moved at its start (KASLR), as gdb takes them."""
    text, vmlinux = debuggee.kernel.text, debuggee.vmlinux
    if text is None or vmlinux is None:
        return 0
    linked = _address_of_text(vmlinux)
    return 0 if linked is None else (text - linked) % (1 << 64)


def _address_of_text(vmlinux: Subject) -> int | None:
    symbols = vmlinux.image.symbols
    # (a kernel has hundreds of thousands: their names are compared as offsets)
    names = symbols.starting_with(b"_text\0")
    return next((row[4] for row in symbols.rows if row[0] in names), None)


def _quoted(text: str) -> str:
    """A literal of Python."""
    return '"' + text.encode("unicode_escape").decode().replace('"', '\\"') + '"'
