"""Which architecture a kernel tree is for.

Kbuild's `ARCH` is what the user says, else this machine (scripts/subarch.include); Debian's headers packages
override it in `.kernelvariables`. `SRCARCH` is the directory below `arch/`. An object part does not name either
by itself, but its configuration has exactly one of the architectures' own symbols.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.kernel.tree import KernelTree

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
    """`arch` as `ARCH` names it, `srcarch` the directory below `arch/` ("" for none told), `bits` 32 or 64.

    `fixed` says that the tree itself sets `ARCH`, whatever the user says.
    """

    arch: str
    srcarch: str
    bits: int
    fixed: bool = False

    def __str__(self) -> str:
        return {("x86", 64): "x86_64", ("x86", 32): "i386"}.get((self.srcarch, self.bits), self.arch) or "unknown"


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
    """The directory below `arch/` of what a user calls `ARCH`."""
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
