# SPDX-License-Identifier: GPL-2.0-only
"""Where a guest stops for a debugger: after its modules are loaded, or before the first init function (`--gdb-at`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from kbuildpy.debug.script_file import write_script
from kbuildpy.errors import KbuildError
from kbuildpy.vm.boot_report import BootReport
from kbuildpy.vm.debugger import attached, how_to_attach, pause, symbol_commands
from kbuildpy.vm.drgn_script import drgn_script
from kbuildpy.vm.machine import Machine
from kbuildpy.vm.settings import Settings
from kbuildpy.vm.stop_at_init import KernelFunctions, StopAtInit
from kbuildpy.vm.trial import Trial

Stops = dict[str, Callable[[BootReport], None]]
"""What is done when the guest makes a report, by the report's first word."""
_NO_INIT = b"kbuildpy: the kernel called no init function of a module that was given; it is stopped after loading\n"


def debugger_stops(
    settings: Settings,
    machine: Machine,
    batch: Sequence[Trial],
    *,
    scratch: Path,
    control: Path,
    show: Callable[[bytes], None],
    go_on: Callable[[], None],
) -> Stops:
    """Stop a guest with the modules `batch` where `settings` say, and show what to type.

    `scratch` is a folder for copies of modules, `control` QEMU's socket, `go_on` answers a guest that waits. What is
    returned raises `KbuildError` when QEMU does not do it, or the kernel does not tell the addresses of its functions.
    """
    registers = machine.call_registers
    if settings.gdb_at_init and registers is None:
        raise KbuildError(
            f"--gdb-at init: guests of {machine.name} are not stopped at an init function",
            hint="leave the option out: the guest stops when the modules are loaded",
        )
    watches: list[StopAtInit] = []

    def attach(report: BootReport, init_function: int = 0) -> None:
        sections = {number: steps.sections for number, steps in report.modules.items()}
        coming = report.last if init_function else None
        commands = symbol_commands(batch, sections, scratch, coming=coming)
        if init_function:
            commands += (f"tbreak *{init_function:#x}", "continue")
        if settings.gdb_script:
            write_script(settings.gdb_script, attached(commands, settings.gdb), option="--gdb-script")
        drgn: tuple[str | Path, ...] = ()
        if settings.drgn_script:
            lines = drgn_script(batch, sections, scratch, coming=coming)
            write_script(settings.drgn_script, lines, option="--drgn-script")
            drgn = ("drgn", "--qemu", control, settings.drgn_script)
        show(how_to_attach(commands, settings.gdb, settings.gdb_script, drgn).encode())

    def stop(report: BootReport) -> None:
        if registers is not None and not watches:
            watches.append(StopAtInit(settings.gdb, _functions_of(report), registers))
        go_on()

    def coming(report: BootReport) -> None:
        for watch in watches:
            watch.sections_are_reported()
            attach(report, watch.init_function)

    def loaded(report: BootReport) -> None:
        if not any(watch.init_function for watch in watches):
            for watch in watches:
                watch.give_up()
                show(_NO_INIT)
            if not watches:
                pause(control)
            attach(report)
        go_on()

    return {"stop": stop, "coming": coming, "loaded": loaded} if settings.gdb_at_init else {"loaded": loaded}


def _functions_of(report: BootReport) -> KernelFunctions:
    try:
        return KernelFunctions(**report.functions)
    except TypeError as error:
        raise KbuildError(
            f"kernel {report.release} does not tell where do_one_initcall() and msleep() are",
            hint="--gdb-at init needs a kernel with CONFIG_KALLSYMS; without it, leave the option out",
        ) from error
