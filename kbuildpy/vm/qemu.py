# SPDX-License-Identifier: GPL-2.0-only
"""Boots a kernel with an initramfs in QEMU and returns what it logged.

The one surprise: /dev/kvm may exist, and even make a VM, on a processor that cannot run one; QEMU then hangs
for ever. So KVM is used only where the processor says that it can, and every boot has a time limit.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from kbuildpy.errors import CommandError
from kbuildpy.program_packages import require_installed
from kbuildpy.run import run
from kbuildpy.run_live import run_live
from kbuildpy.vm.direct import direct_kernel, unpacked_kernel
from kbuildpy.vm.machine import MACHINES, Machine, machine_of_image

_KVM_CREATE_VM = 0xAE01  # _IO(KVMIO, 0x01) of include/uapi/linux/kvm.h

# What printk puts before a line on the console: the time, and with CONFIG_PRINTK_CALLER who printed it.
_TIMESTAMP = re.compile(r"^\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ")

KERNEL_PARAMETERS = (
    "ignore_loglevel",  # debug messages too
    "printk.devkmsg=on",  # else the kernel drops all but ten of the guest's reports
    "panic=-1",  # reboot at once, which -no-reboot makes an exit
)


Booted = TypeVar("Booted")
PANIC = "Kernel panic - not syncing"
"""How the line begins in which a kernel gives up (kernel/panic.c: panic())."""
_GUESTS = {True: ("busybox",), False: ()}
"""What a guest takes of this machine, if it is of the same architecture or not: another one gets Debian's busybox."""
_FIRST_PROGRAM = re.compile(r"Run /\S+ as init process")
"""What the kernel logs before it runs the guest's first program (init/main.c: run_init_process)."""


@dataclass(frozen=True)
class BootResult:
    """The result of a boot."""

    log: tuple[str, ...]
    """The kernel's log: lines without time stamps."""
    seconds: float
    """The duration in seconds."""
    timed_out: bool
    """It was stopped at its time limit."""


def require_programs(machines: Iterable[Machine] | None = None, *, more: Callable[[], Iterable[str]] = tuple) -> None:
    """Raise `KbuildError` for what boots of `machines` miss (default: this one), QEMU or the guest's programs: all at
    once, and before something long is done for a boot. `more`: packages that are named, too (`require_installed`)."""
    wanted = [machine for machine in MACHINES if machine.native] if machines is None else machines
    names = (name for machine in wanted for name in (*_GUESTS[machine.native], machine.qemu))
    require_installed(names, more=more)


def boot(
    kernel: Path,
    initramfs: bytes,
    *,
    parameters: tuple[str, ...] = (),
    memory: int = 512,
    timeout: float = 120,
    directly: bool = True,
) -> BootResult:
    """Boot the kernel image `kernel` until it powers off or panics, or until `timeout` seconds are over.

    The image says which machine it is for. `parameters` are added to the kernel's command line; `memory` is in MiB.
    Where QEMU translates it starts the kernel inside the image, unless `directly` is False (see `direct`). A kernel
    that panicked early is booted once more (see `panicked_early`).
    Raises `CommandError` if QEMU is missing or cannot start, `KbuildError` if we cannot boot such an image.
    """
    return again_after_early_panic(
        lambda: _boot_once(kernel, initramfs, parameters, memory, timeout, directly=directly), lambda booted: booted.log
    )


def again_after_early_panic(
    boot: Callable[[], Booted], log_of: Callable[[Booted], Iterable[str]], tell: Callable[[], None] = lambda: None
) -> Booted:
    """What `boot` returns; if by its log the kernel `panicked_early`, `tell` that and boot once more."""
    booted = boot()
    if panicked_early(log_of(booted)):
        tell()
        booted = boot()
    return booted


def panicked_early(log: Iterable[str]) -> bool:
    """Whether a kernel with this log (lines without time stamps) panicked before it ran the guest's first program.

    Then the guest is not the reason. Where QEMU translates on a busy machine, one start in some hundreds ends so: the
    kernel patches its own code while another processor runs it.
    """
    panicked = False
    for line in log:
        if _FIRST_PROGRAM.search(line):
            return False
        panicked = panicked or PANIC in line
    return panicked


def _boot_once(
    kernel: Path, initramfs: bytes, parameters: tuple[str, ...], memory: int, timeout: float, *, directly: bool
) -> BootResult:
    machine = machine_of_image(kernel)
    with TemporaryDirectory(prefix="kbuildpy-vm-") as name:
        directory = Path(name)
        (directory / "initramfs").write_bytes(initramfs)
        console = directory / "console"
        argv = _argv(kernel, machine, directory / "initramfs", parameters, memory, directly=directly)
        argv += ["-serial", f"file:{console}"]
        start = time.monotonic()
        timed_out = False
        try:
            run(argv, timeout=timeout)
        except CommandError as error:
            timed_out = error.returncode == 124
            if not timed_out:
                raise
        seconds = time.monotonic() - start
        return BootResult(_log_lines(console.read_bytes()), seconds, timed_out)


def boot_live(
    kernel: Path,
    initramfs: bytes,
    *,
    watch: Callable[[bytes], float | None],
    parameters: tuple[str, ...] = (),
    memory: int = 512,
    options: tuple[str, ...] = (),
    stdin: int | None = None,
) -> None:
    """Boot the kernel image `kernel` and hand what comes over its serial console to `watch`, as `run_live()` does.

    What is read from the file descriptor `stdin` goes to the console; when it is a terminal, each key does. Returns
    when the kernel powers off or panics, or when `watch` says that it is enough. There are two processors, so that a
    module that keeps one busy can be told from a kernel that died. `options` are QEMU's. Raises as `boot()` does, and
    `CommandError` as well if a signal ended QEMU.
    """
    machine = machine_of_image(kernel)
    with TemporaryDirectory(prefix="kbuildpy-vm-") as name:
        path = Path(name) / "initramfs"
        path.write_bytes(initramfs)
        argv = _argv(kernel, machine, path, parameters, memory)
        # (the keys that end QEMU itself, Ctrl-A X, come with its monitor: `mux`)
        argv += ["-chardev", f"stdio,id=console,mux={'on' if stdin is not None else 'off'},signal=off"]
        argv += ["-serial", "chardev:console", "-smp", "2", *options]
        if stdin is not None:
            argv += ["-mon", "chardev=console"]
        done = run_live(argv, watch=watch, stdin=stdin)
    # (system/runstate.c of QEMU; its status is that of a guest that powered off)
    if done and (ended := re.search(r"terminating on signal (\d+)", done.error_text)):
        raise CommandError(f"{machine.qemu} was ended by signal {ended[1]}", stderr=done.error_text)


def _argv(
    kernel: Path,
    machine: Machine,
    initramfs: Path,
    parameters: tuple[str, ...],
    memory: int,
    *,
    directly: bool = True,
) -> list[str | Path]:
    accel = accelerator(machine)
    translates = accel == "tcg"
    starts_direct = translates and machine.unpacks and directly
    return [
        machine.qemu,
        *machine.options,
        "-accel", accel,
        "-cpu", f"{machine.processor}{machine.translated if translates else ''}",
        "-m", str(memory),
        "-nodefaults",
        "-no-reboot",
        "-display", "none",
        "-kernel", direct_kernel(kernel) if starts_direct else unpacked_kernel(kernel, machine),
        "-initrd", initramfs,
        "-append", " ".join([f"console={machine.console}", *KERNEL_PARAMETERS, *machine.parameters, *parameters]),
    ]  # fmt: skip


def accelerator(
    machine: Machine, *, cpuinfo: Path = Path("/proc/cpuinfo"), kvm: Path = Path("/dev/kvm"), host: str = ""
) -> str:
    """`kvm` where this processor and this process can use it for `machine`, else `tcg`: QEMU's translator, ten
    times slower. `host` stands in for what `uname -m` says."""
    if machine.architecture.uname != (host or os.uname().machine):
        return "tcg"
    flags = re.search(r"^flags\s*:(.*)$", cpuinfo.read_text(errors="replace"), re.MULTILINE)
    if machine.kvm_flags and not (flags and set(flags[1].split()).intersection(machine.kvm_flags)):
        return "tcg"
    try:
        device = os.open(kvm, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return "tcg"
    try:
        os.close(fcntl.ioctl(device, _KVM_CREATE_VM, 0))
    except OSError:
        return "tcg"
    finally:
        os.close(device)
    return "kvm"


def log_line(line: bytes, *, errors: str = "replace") -> str:
    """A line of the console without time stamp; `errors` is what becomes of bytes that are no UTF-8, as in Python."""
    return _TIMESTAMP.sub("", line.decode(errors=errors).replace("\r", ""))


def _log_lines(console: bytes) -> tuple[str, ...]:
    return tuple(log_line(line) for line in console.split(b"\n") if line.strip(b"\r"))
