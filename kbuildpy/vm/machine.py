"""What differs between the architectures that we boot: QEMU's program and machine, the console, Debian's names.

Which of them a kernel needs is asked of the kernel image itself: the boot protocols put a magic number into its header
(Documentation/x86/boot.rst, Documentation/arm64/booting.rst).
"""

from __future__ import annotations

import os
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.architecture import Architecture

_GZIP = b"\x1f\x8b"
_EM_X86_64 = (62).to_bytes(2, "little")


@dataclass(frozen=True)
class Machine:
    """How a kernel of one architecture is booted.

    `name` as `str(Architecture)` shows it, `host` what `uname -m` says on it, `debian` Debian's word for it; `qemu`
    the program, `options` those that it cannot do without, `translated` what follows `-cpu max` where QEMU translates;
    `parameters` go on the kernel's command line; `unpacks` whether an image has to unpack itself, `console` the serial
    port as the kernel calls it; `magic` stands at `offset` of the kernel image; `elf_machine` is e_machine of its
    programs, `compiler` the one that makes them where the host is another, out of Debian's `compiler_package`;
    `kvm_flags` are what /proc/cpuinfo shows where KVM can work (none: the kernel makes /dev/kvm only where it can).
    """

    name: str
    host: str
    debian: str
    qemu: str
    console: str
    offset: int
    magic: bytes
    elf_machine: int
    compiler: str
    compiler_package: str
    options: tuple[str, ...] = ()
    translated: str = ""
    parameters: tuple[str, ...] = ()
    unpacks: bool = False
    kvm_flags: tuple[str, ...] = ()

    @property
    def native(self) -> bool:
        """Whether this machine is of the same architecture."""
        return os.uname().machine == self.host


X86_64 = Machine(
    name="x86_64",
    host="x86_64",
    debian="amd64",
    qemu="qemu-system-x86_64",
    console="ttyS0",
    offset=0x202,
    magic=b"HdrS",
    elf_machine=62,
    compiler="x86_64-linux-gnu-gcc",
    compiler_package="gcc-x86-64-linux-gnu libc6-dev-amd64-cross",
    # Else a kernel that QEMU translates on a busy machine may take the timer for broken, and panic
    # (arch/x86/kernel/apic/io_apic.c: timer_irq_works; KVM's guests leave that out, too).
    parameters=("no_timer_check",),
    unpacks=True,
    kvm_flags=("vmx", "svm"),
)
ARM64 = Machine(
    name="arm64",
    host="aarch64",
    debian="arm64",
    qemu="qemu-system-aarch64",
    console="ttyAMA0",
    offset=56,
    magic=b"ARM\x64",
    elf_machine=183,
    compiler="aarch64-linux-gnu-gcc",
    compiler_package="gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
    # There is no default machine. KVM has the interrupt controller of the processor that it runs on.
    options=("-machine", "virt,gic-version=max"),
    # Pointer authentication by the architecture's own cipher takes three quarters of a boot's time, when translated.
    translated=",pauth-impdef=on",
)
MACHINES = (X86_64, ARM64)


def machine_for(architecture: Architecture) -> Machine:
    """The machine that boots kernels of `architecture`; raises `KbuildError` if we have none."""
    for machine in MACHINES:
        if machine.name == str(architecture):
            return machine
    raise KbuildError(f"cannot boot kernels of {architecture}: only {_names()}")


def machine_of_image(kernel: Path) -> Machine:
    """The machine that boots the image `kernel`; raises `KbuildError` if it is no kernel image that we know."""
    with kernel.open("rb") as image:
        header = image.read(0x1000)
    if header.startswith(_GZIP):
        # Image.gz: QEMU unpacks it.
        with suppress(zlib.error):
            header = zlib.decompressobj(wbits=31).decompress(header, 0x1000)
    for machine in MACHINES:
        if header[machine.offset :].startswith(machine.magic):
            return machine
    if header.startswith(b"\x7fELF") and header[18:20] == _EM_X86_64:
        # A vmlinux, which QEMU starts by the entry point for virtual machines (CONFIG_PVH).
        return X86_64
    raise KbuildError(f"{kernel}: not an image of a kernel for {_names()}")


def _names() -> str:
    return " or ".join(machine.name for machine in MACHINES)
