# SPDX-License-Identifier: GPL-2.0-only
"""The machines that can be booted: QEMU's program and machine, the console, Debian's names.

The kernel image tells which of them it needs: the boot protocols put a magic number into its header
(`kernel.architecture`). To add a machine, add a `Machine` below and to `MACHINES`, and its code to `module_call`.
"""

from __future__ import annotations

import os
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.compression import compression_of
from kbuildpy.elf.constants import ELFMAG, EM_X86_64
from kbuildpy.errors import KbuildError
from kbuildpy.kernel import architecture
from kbuildpy.kernel.architecture import Architecture, KnownArchitecture
from kbuildpy.kernel.image import unpack

_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class CallRegisters:
    """gdb's numbers of the registers that a call uses, each of 64 bits."""

    argument: int
    """The first argument."""
    stack: int
    counter: int
    """The address of the next instruction."""
    link: int | None = None
    """The return address; None where the stack has it."""


@dataclass(frozen=True)
class Machine:
    """How kernels of one architecture are booted."""

    architecture: KnownArchitecture
    """Its names and numbers."""
    debian: str
    """Debian's name for the architecture."""
    qemu: str
    """QEMU's program."""
    console: str
    """The serial port, as the kernel calls it."""
    compiler_package: str
    """Debian's packages with the compiler for programs of the machine, where the host is another."""
    call_registers: CallRegisters
    """For a debugger; gdb's features i386/64bit-core.xml, aarch64-core.xml and riscv/64bit-cpu.xml number them."""
    options: tuple[str, ...] = ()
    """Options without which QEMU does not start."""
    processor: str = "max"
    """The word after `-cpu`."""
    translated: str = ""
    """What follows that where QEMU translates."""
    parameters: tuple[str, ...] = ()
    """Parameters on the kernel's command line."""
    unpacks: bool = False
    """Whether an image has to unpack itself."""
    kvm_flags: tuple[str, ...] = ()
    """Flags in /proc/cpuinfo of which one is there if KVM can work; empty where /dev/kvm itself tells."""

    @property
    def name(self) -> str:
        """As `str(Architecture)` shows it."""
        return self.architecture.name

    @property
    def compiler(self) -> str:
        """The compiler for programs of the machine, where the host is another."""
        return f"{self.architecture.triplet}-gcc"

    @property
    def native(self) -> bool:
        """Whether this machine is of the same architecture."""
        return os.uname().machine == self.architecture.uname


X86_64 = Machine(
    architecture.X86_64,
    debian="amd64",
    qemu="qemu-system-x86_64",
    console="ttyS0",
    compiler_package="gcc-x86-64-linux-gnu libc6-dev-amd64-cross",
    call_registers=CallRegisters(argument=5, stack=7, counter=16),
    # Without it a kernel that QEMU translates on a busy machine may take the timer for broken, and panic
    # (arch/x86/kernel/apic/io_apic.c: timer_irq_works; KVM's guests skip that check, too).
    parameters=("no_timer_check",),
    unpacks=True,
    kvm_flags=("vmx", "svm"),
)
ARM64 = Machine(
    architecture.ARM64,
    debian="arm64",
    qemu="qemu-system-aarch64",
    console="ttyAMA0",
    compiler_package="gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
    call_registers=CallRegisters(argument=0, stack=31, counter=32, link=30),
    # There is no default machine. KVM has the interrupt controller of the processor that it runs on.
    options=("-machine", "virt,gic-version=max"),
    # Pointer authentication by the architecture's own cipher takes three quarters of a boot's time, when translated.
    translated=",pauth-impdef=on",
)
RISCV = Machine(
    architecture.RISCV,
    debian="riscv64",
    qemu="qemu-system-riscv64",
    console="ttyS0",
    compiler_package="gcc-riscv64-linux-gnu libc6-dev-riscv64-cross",
    call_registers=CallRegisters(argument=10, stack=2, counter=32, link=1),
    options=("-machine", "virt"),
    # ("max" came with QEMU 8.2)
    processor="rv64",
)
MACHINES = (X86_64, ARM64, RISCV)


def machine_for(wanted: Architecture) -> Machine:
    """The machine that boots kernels of `wanted`; raises `KbuildError` if we have none."""
    for machine in MACHINES:
        if machine.name == str(wanted):
            return machine
    raise KbuildError(f"cannot boot kernels of {wanted}: only {_names()}")


def machine_of_image(kernel: Path) -> Machine:
    """The machine that boots the image `kernel`; raises `KbuildError` if it is no kernel image that we know."""
    with kernel.open("rb") as image:
        header = image.read(0x1000)
    if header.startswith(_GZIP):
        # Image.gz: QEMU unpacks it.
        with suppress(zlib.error):
            header = zlib.decompressobj(wbits=31).decompress(header, 0x1000)
    elif is_packed(header):
        header = unpack(kernel.read_bytes())[:0x1000]
    for machine in MACHINES:
        if header[machine.architecture.boot_offset :].startswith(machine.architecture.boot_magic):
            return machine
    if header.startswith(ELFMAG) and header[18:20] == EM_X86_64.to_bytes(2, "little"):
        # A vmlinux, which QEMU starts by the entry point for virtual machines (CONFIG_PVH).
        return X86_64
    raise KbuildError(f"{kernel}: not an image of a kernel for {_names()}")


def is_packed(header: bytes) -> bool:
    """Whether an image that begins with `header` is wrapped in a way that no QEMU here unpacks: an EFI zboot image, or
    one that is compressed with anything but gzip."""
    return (header[:2] == b"MZ" and header[4:8] == b"zimg") or compression_of(header) not in ("", "gzip")


def _names() -> str:
    *others, last = (machine.name for machine in MACHINES)
    return f"{', '.join(others)} or {last}"
