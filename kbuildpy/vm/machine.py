# SPDX-License-Identifier: GPL-2.0-only
"""The machines that can be booted: QEMU's program and machine, the console, Debian's names.

The kernel image tells which of them it needs: the boot protocols put a magic number into its header
(`kernel.architecture`). To add a machine, add a `Machine` below and to `MACHINES`, and its code to `module_call`.
"""

from __future__ import annotations

import os
import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kbuildpy.compression import compression_of
from kbuildpy.elf.constants import ELFMAG
from kbuildpy.errors import KbuildError
from kbuildpy.kernel import architecture
from kbuildpy.kernel.architecture import Architecture, KnownArchitecture
from kbuildpy.kernel.image import unpack

if TYPE_CHECKING:
    from kbuildpy.elf import ModuleImage

_GZIP = b"\x1f\x8b"
_HEADER = 0x11000
"""Enough of an image to see what it is, in bytes."""
_XLOADFLAGS = 0x236
"""Where an x86 image tells whether its kernel is for 64 bits (Documentation/arch/x86/boot.rst)."""
_ORDERS = ("<", ">")
"""The byte orders, in the order of their numbers (EI_DATA)."""


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
    flavours: tuple[str, ...] = ()
    """What the releases of Debian's kernels for it end with, where that is not Debian's name."""
    call_registers: CallRegisters | None = None
    """For a debugger; gdb's features i386/64bit-core.xml, aarch64-core.xml and riscv/64bit-cpu.xml number them. None
    where a guest cannot be stopped at an init function."""
    options: tuple[str, ...] = ()
    """Options without which QEMU does not start."""
    processor: str = "max"
    """The word after `-cpu`."""
    translated: str = ""
    """What follows that where QEMU translates."""
    parameters: tuple[str, ...] = ()
    """Parameters on the kernel's command line."""
    unpacks: bool = False
    """Whether an image has to unpack itself, and what is in it can be started instead."""
    unpacks_gzip: bool = True
    """Whether an `Image.gz` need not be unpacked (QEMU's hw/arm/boot.c does it; its hw/riscv/boot.c starts what it is
    given)."""
    starts_vmlinux: bool = False
    """Whether QEMU starts an ELF file."""
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
    starts_vmlinux=True,  # (by the entry point for virtual machines, CONFIG_PVH)
    kvm_flags=("vmx", "svm"),
)
I386 = Machine(
    architecture.I386,
    debian="i386",
    qemu="qemu-system-i386",
    console="ttyS0",
    compiler_package="gcc-i686-linux-gnu libc6-dev-i386-cross",
    flavours=("686", "686-pae"),
    # (QEMU's own processor is one of AMD's that the kernel warns of: arch/x86/kernel/cpu/amd.c: amd_k7_smp_check)
    translated=",vendor=GenuineIntel",
    parameters=X86_64.parameters,
    unpacks=True,
    starts_vmlinux=True,
    kvm_flags=X86_64.kvm_flags,
)
ARM64 = Machine(
    architecture.ARM64,
    debian="arm64",
    qemu="qemu-system-aarch64",
    console="ttyAMA0",
    compiler_package="gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
    call_registers=CallRegisters(argument=0, stack=31, counter=32, link=30),
    # The device tree of QEMU's machine says where the console is: without this, a kernel that ends before it has
    # its drivers says nothing.
    parameters=("earlycon",),
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
    parameters=ARM64.parameters,
    options=("-machine", "virt"),
    # ("max" came with QEMU 8.2)
    processor="rv64",
    unpacks_gzip=False,
)
ARM = Machine(
    architecture.ARM,
    debian="armhf",
    qemu="qemu-system-arm",
    console="ttyAMA0",
    compiler_package="gcc-arm-linux-gnueabihf libc6-dev-armhf-cross",
    flavours=("armmp", "armmp-lpae"),
    # (a kernel without CONFIG_ARM_LPAE sees nothing above 4 GiB)
    options=("-machine", "virt,highmem=off"),
    processor="cortex-a15",
)
POWERPC = Machine(
    architecture.POWERPC,
    debian="ppc64el",
    qemu="qemu-system-ppc64",
    console="hvc0",
    compiler_package="gcc-powerpc64le-linux-gnu libc6-dev-ppc64el-cross",
    flavours=("powerpc64le", "powerpc64le-64k"),
    options=("-machine", "pseries"),
    processor="power9",
    starts_vmlinux=True,
)
S390 = Machine(
    architecture.S390,
    debian="s390x",
    qemu="qemu-system-s390x",
    console="ttyS1",
    compiler_package="gcc-s390x-linux-gnu libc6-dev-s390x-cross",
    options=("-machine", "s390-ccw-virtio"),
)
MACHINES = (X86_64, I386, ARM64, ARM, RISCV, POWERPC, S390)


def machine_for(wanted: Architecture) -> Machine:
    """The machine that boots kernels of `wanted`; raises `KbuildError` if we have none."""
    for machine in MACHINES:
        if machine.name == str(wanted):
            return machine
    raise KbuildError(f"cannot boot kernels of {wanted}: only {_names()}")


def machine_of_release(release: str) -> Machine | None:
    """The machine that Debian's kernel `release` is for; None for a release of another form."""
    ends = {f"-{flavour}": item for item in MACHINES for flavour in item.flavours or (item.debian,)}
    return next((machine for end, machine in ends.items() if release.endswith(end)), None)


def machine_of_module(image: ModuleImage) -> Machine | None:
    """The machine that a module is for; None for one that cannot be booted."""
    header = image.header
    named = header.e_machine, header.is_64bit, header.order
    return next(
        (
            machine
            for machine in MACHINES
            if (machine.architecture.elf_machine, machine.architecture.bits == 64, machine.architecture.order) == named
        ),
        None,
    )


def machine_of_image(kernel: Path) -> Machine:
    """The machine that boots the image `kernel`; raises `KbuildError` if it is no kernel image that we know."""
    with kernel.open("rb") as image:
        header = image.read(_HEADER)
    if header.startswith(_GZIP):
        # Image.gz
        with suppress(zlib.error):
            header = zlib.decompressobj(wbits=31).decompress(header, _HEADER)
    elif _is_wrapped(header):
        header = unpack(kernel.read_bytes())[:_HEADER]
    if header.startswith(ELFMAG):
        # A vmlinux
        for machine in MACHINES:
            if machine.starts_vmlinux and header[4:6] + header[18:20] == _elf_words(machine.architecture):
                return machine
    for machine in MACHINES:
        known = machine.architecture
        if known.boot_magic and header.startswith(known.boot_magic, known.boot_offset):
            if machine != X86_64:
                return machine
            if len(header) <= _XLOADFLAGS:
                break
            return X86_64 if header[_XLOADFLAGS] & 1 else I386
    raise KbuildError(f"{kernel}: not an image of a kernel for {_names()}")


def _elf_words(known: KnownArchitecture) -> bytes:
    """Class, byte order and machine as the ELF header has them."""
    return bytes([known.bits // 32, _ORDERS.index(known.order) + 1]) + struct.pack(f"{known.order}H", known.elf_machine)


def is_packed(header: bytes, machine: Machine) -> bool:
    """Whether an image for `machine` that begins with `header` is wrapped in a way that QEMU does not unpack."""
    return _is_wrapped(header) or (header.startswith(_GZIP) and not machine.unpacks_gzip)


def _is_wrapped(header: bytes) -> bool:
    """Whether an image is wrapped in a way that no QEMU unpacks: an EFI zboot image, or one that is compressed with
    anything but gzip."""
    return (header[:2] == b"MZ" and header[4:8] == b"zimg") or compression_of(header) not in ("", "gzip")


def _names() -> str:
    *others, last = (machine.name for machine in MACHINES)
    return f"{', '.join(others)} or {last}"
