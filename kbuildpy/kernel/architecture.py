# SPDX-License-Identifier: GPL-2.0-only
"""The architectures that are known by all their names, and the one that a kernel tree is for.

Kbuild's `ARCH` is given by the user, else it is this machine's (scripts/subarch.include); Debian's headers packages
override it in `.kernelvariables`. `SRCARCH` is the directory below `arch/`. An object part does not name either, but
its configuration has exactly one of the architectures' own symbols.

To add an architecture, add a row to `ARCHITECTURES`. `kbuildpy.loader.machines` says what the loader check needs
besides, `kbuildpy.vm.machine` what booting it needs.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.elf.constants import (
    EM_386,
    EM_AARCH64,
    EM_ARM,
    EM_LOONGARCH,
    EM_MIPS,
    EM_PPC64,
    EM_RISCV,
    EM_S390,
    EM_X86_64,
)
from kbuildpy.kernel.tree import KernelTree


@dataclass(frozen=True)
class KnownArchitecture:
    """The names and numbers of an architecture of one width."""

    name: str
    """As messages show it."""
    srcarch: str
    """The directory below `arch/`."""
    bits: int
    """32 or 64."""
    uname: str
    """What `uname -m` prints there."""
    elf_machine: int
    """e_machine of its ELF files."""
    triplet: str
    """What Debian prefixes its compilers with, without the last hyphen."""
    boot_offset: int = 0
    """Where `boot_magic` is in a kernel image."""
    boot_magic: bytes = b""
    """The magic number of its boot protocol; empty where it is not known here."""
    order: str = "<"
    """The byte order, as `struct` spells it."""


X86_64 = KnownArchitecture(
    "x86_64",
    "x86",
    64,
    "x86_64",
    EM_X86_64,
    "x86_64-linux-gnu",
    boot_offset=0x202,  # (Documentation/arch/x86/boot.rst)
    boot_magic=b"HdrS",
)
I386 = KnownArchitecture(
    "i386",
    "x86",
    32,
    "i686",
    EM_386,
    "i686-linux-gnu",
    boot_offset=0x202,
    boot_magic=b"HdrS",
)
ARM64 = KnownArchitecture(
    "arm64",
    "arm64",
    64,
    "aarch64",
    EM_AARCH64,
    "aarch64-linux-gnu",
    boot_offset=56,  # (Documentation/arch/arm64/booting.rst)
    boot_magic=b"ARM\x64",
)
RISCV = KnownArchitecture(
    "riscv",
    "riscv",
    64,
    "riscv64",
    EM_RISCV,
    "riscv64-linux-gnu",
    boot_offset=56,  # (Documentation/arch/riscv/boot-image-header.rst)
    boot_magic=b"RSC\x05",
)
ARM = KnownArchitecture(
    "arm",
    "arm",
    32,
    "armv7l",
    EM_ARM,
    "arm-linux-gnueabihf",
    boot_offset=0x24,  # (arch/arm/boot/compressed/head.S)
    boot_magic=b"\x18\x28\x6f\x01",
)
POWERPC = KnownArchitecture("powerpc", "powerpc", 64, "ppc64le", EM_PPC64, "powerpc64le-linux-gnu")
S390 = KnownArchitecture(
    "s390",
    "s390",
    64,
    "s390x",
    EM_S390,
    "s390x-linux-gnu",
    boot_offset=0x10008,  # (arch/s390/boot/head.S)
    boot_magic=b"S390EP",
    order=">",
)
ARCHITECTURES = (
    X86_64,
    I386,
    ARM64,
    ARM,
    RISCV,
    POWERPC,
    S390,
    KnownArchitecture("loongarch", "loongarch", 64, "loongarch64", EM_LOONGARCH, "loongarch64-linux-gnu"),
    KnownArchitecture("mips", "mips", 64, "mips64", EM_MIPS, "mips64el-linux-gnuabi64"),
    KnownArchitecture("mips", "mips", 32, "mips", EM_MIPS, "mipsel-linux-gnu"),
)

# Symbols that the architectures' Kconfig files define without a prompt, where lower case is not enough.
_SRCARCH_OF_SYMBOL = {"PPC": "powerpc", "SUPERH": "sh"}
_ARCHITECTURE_SYMBOL = re.compile(
    rb"^CONFIG_(X86|ARM64|ARM|RISCV|PPC|S390|MIPS|LOONGARCH|PARISC|SPARC|ALPHA|M68K|UML|SUPERH|XTENSA|ARC|CSKY"
    rb"|HEXAGON|MICROBLAZE|NIOS2|OPENRISC|IA64)=y$",
    re.MULTILINE,
)
# What the top Makefile takes as an ARCH besides the directories' own names ("Additional ARCH settings for ...").
_SRCARCH_OF_ARCH = {
    "i386": "x86",
    "x86_64": "x86",
    "sparc32": "sparc",
    "sparc64": "sparc",
    "parisc64": "parisc",
}
_OVERRIDE = re.compile(r"^override ARCH\s*:?=\s*(\S+)", re.MULTILINE)

# scripts/subarch.include, as `uname -m` to ARCH.
_SUBARCH = (
    (re.compile(r"i.86|x86_64"), "x86"),
    (re.compile(r"sun4u|sparc64"), "sparc"),
    (re.compile(r"aarch64.*"), "arm64"),
    (re.compile(r"arm.*|sa110"), "arm"),
    (re.compile(r"s390x"), "s390"),
    (re.compile(r"ppc.*"), "powerpc"),
    (re.compile(r"mips.*"), "mips"),
    (re.compile(r"sh[234].*"), "sh"),
    (re.compile(r"riscv.*"), "riscv"),
    (re.compile(r"loongarch.*"), "loongarch"),
    (re.compile(r"parisc64"), "parisc"),
)


@dataclass(frozen=True)
class Architecture:
    """The architecture of a kernel tree or a machine."""

    arch: str
    """As `ARCH` names it."""
    srcarch: str
    """The directory below `arch/`; "" where the tree does not tell it."""
    bits: int
    """32 or 64."""
    fixed: bool = False
    """Whether the tree itself sets `ARCH`, so that the user cannot."""

    def __str__(self) -> str:
        found = known_architecture(self.srcarch, self.bits)
        return (found.name if found else self.arch) or "unknown"


def known_architecture(srcarch: str, bits: int) -> KnownArchitecture | None:
    """The row of `ARCHITECTURES` for one; None if there is none."""
    return next((item for item in ARCHITECTURES if (item.srcarch, item.bits) == (srcarch, bits)), None)


def architecture_of(tree: KernelTree) -> Architecture:
    """The architecture that `tree` builds modules for."""
    # The raw text: the whole configuration as a dictionary costs ten times as much, and every search asks this.
    config = _bytes(tree.objects / "include/config/auto.conf")
    symbol = _ARCHITECTURE_SYMBOL.search(config)
    srcarch = ""
    if symbol:
        name = symbol[1].decode()
        srcarch = "um" if name == "UML" else _SRCARCH_OF_SYMBOL.get(name, name.lower())
    override = _OVERRIDE.search(_bytes(tree.objects / ".kernelvariables").decode(errors="replace"))
    return Architecture(
        arch=override[1] if override else srcarch,
        srcarch=srcarch,
        bits=64 if re.search(rb"^CONFIG_64BIT=y$", config, re.MULTILINE) else 32,
        fixed=override is not None,
    )


def srcarch_of(arch: str) -> str:
    """The directory below `arch/` for a user's `ARCH`."""
    return _SRCARCH_OF_ARCH.get(arch, arch)


def native_architecture(machine: str = "") -> Architecture:
    """The architecture of this machine, or of one whose `uname -m` is `machine`."""
    machine = machine or os.uname().machine
    srcarch = next((name for pattern, name in _SUBARCH if pattern.fullmatch(machine)), machine)
    return Architecture(arch=srcarch, srcarch=srcarch, bits=64 if "64" in machine or machine == "s390x" else 32)


def is_native(architecture: Architecture, machine: str = "") -> bool:
    """Whether this machine's kernel could load modules of `architecture`."""
    native = native_architecture(machine)
    return (architecture.srcarch, architecture.bits) == (native.srcarch, native.bits)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
