# SPDX-License-Identifier: GPL-2.0-only
"""The configurations: Debian's kernels, and small ones that `kbuildpy kernel build` builds of Debian's sources.

Each of the built ones covers several settings that change how modules are built or loaded, and one line at least has
each of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.support.packages import NEWEST

_TRIMMED = Path(__file__).with_name("kept_exports.txt")
"""The symbols that a kernel with CONFIG_TRIM_UNUSED_KSYMS still exports, one a line."""


@dataclass(frozen=True)
class Packaged:
    """A kernel of Debian's packages, which are fetched where they are not installed."""

    machine: str = "amd64"
    """Debian's name for the machine."""
    flavour: str = ""
    """`cloud` or `rt`; "" for the usual one."""


@dataclass(frozen=True)
class SelfBuilt:
    """A small kernel, for `kbuildpy kernel build`."""

    sets: tuple[str, ...] = ()
    """What `--with` names."""
    options: str = ""
    """Lines for `--config`; @KEPT stands for a file with the names of `kept_exports.txt`."""
    llvm: str = ""
    """The value of `--llvm`; "" for gcc."""
    machine: str = ""
    """The value of `--arch`; "" for x86-64."""
    name: str = ""
    """The value of `--name`; "" for the names of the sets."""


@dataclass(frozen=True)
class Row:
    """A configuration."""

    name: str
    line: str
    """The kernel line, such as 6.12."""
    shown: str
    """What the table says of it, besides line and compiler."""
    kernel: Packaged | SelfBuilt
    minutes: int = 0
    """About how many of one processor its kernel takes to build."""
    names_files: bool = False
    """Its modules name files beside their objects (.dwo, .gcda), which are elsewhere under make."""


_USUAL = "CONFIG_JUMP_LABEL=y\nCONFIG_UNWINDER_FRAME_POINTER=n\nCONFIG_UNWINDER_ORC=y\n"
"""What distributions' kernels for x86-64 have."""
_DWARF5 = "CONFIG_DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT=n\nCONFIG_DEBUG_INFO_DWARF5=y\n"
_SIGNED = """\
CONFIG_TRIM_UNUSED_KSYMS=y
CONFIG_UNUSED_KSYMS_WHITELIST="@KEPT"
CONFIG_MODULE_COMPRESS=y
CONFIG_MODULE_COMPRESS_ZSTD=y
CONFIG_MODULE_DECOMPRESS=y
CONFIG_MODVERSIONS=y
"""
_GCOV = f"""\
CONFIG_GCOV_KERNEL=y
CONFIG_DEBUG_INFO_SPLIT=y
CONFIG_STACKPROTECTOR=y
{_USUAL}{_DWARF5}"""

ROWS = (
    Row("6.1-debian", "6.1", "Debian's", Packaged()),
    Row("6.12-debian", "6.12", "Debian's", Packaged()),
    Row("7.3-debian", NEWEST, "Debian's", Packaged()),
    Row("6.1-cloud", "6.1", "Debian's cloud flavour", Packaged(flavour="cloud")),
    Row("6.12-cloud", "6.12", "Debian's cloud flavour", Packaged(flavour="cloud")),
    Row("6.1-rt", "6.1", "Debian's PREEMPT_RT", Packaged(flavour="rt")),
    Row("6.12-rt", "6.12", "Debian's PREEMPT_RT", Packaged(flavour="rt")),
    Row("6.12-arm64", "6.12", "Debian's for arm64", Packaged("arm64")),
    Row("6.12-riscv64", "6.12", "Debian's for riscv64", Packaged("riscv64")),
    Row("6.1-i386", "6.1", "Debian's for i386", Packaged("i386")),
    Row("6.1-armhf", "6.1", "Debian's for armhf", Packaged("armhf")),
    Row("6.1-ppc64el", "6.1", "Debian's for ppc64el", Packaged("ppc64el")),
    Row("6.1-s390x", "6.1", "Debian's for s390x", Packaged("s390x")),
    Row(
        "6.1-kasan-lockdep",
        "6.1",
        "KASAN, lockdep, kmemleak, UBSAN, debug objects and lists",
        SelfBuilt(("debug-lists", "debug-objects", "kasan", "kmemleak", "lockdep", "ubsan")),
        minutes=8,
    ),
    Row("6.12-kcsan", "6.12", "KCSAN", SelfBuilt(("kcsan",)), minutes=8),
    Row("6.1-kmsan", "6.1", "KMSAN", SelfBuilt(("kmsan",), llvm="-16"), minutes=10),
    Row("7.3-rust", NEWEST, "Rust, gendwarfksyms, DWARF 5; two modules in Rust", SelfBuilt(("rust",)), minutes=13),
    Row(
        "6.12-thin-lto-fineibt",
        "6.12",
        "ThinLTO, CFI, FineIBT, function tracer, MODVERSIONS",
        SelfBuilt(
            ("cfi", "ftrace", "lto", "modversions"),
            f"CONFIG_FINEIBT=y\n{_USUAL}",
            llvm="-19",
            name="thin-lto-fineibt",
        ),
        minutes=12,
    ),
    Row(
        "7.3-gendwarfksyms",
        NEWEST,
        "gendwarfksyms, extended modversions alone, function tracer, DWARF 5",
        SelfBuilt(
            ("ftrace", "gendwarfksyms"),
            f"CONFIG_BASIC_MODVERSIONS=n\nCONFIG_EXTENDED_MODVERSIONS=y\n{_USUAL}{_DWARF5}",
            name="gendwarfksyms",
        ),
        minutes=10,
    ),
    Row(
        "6.1-thin-lto-cfi",
        "6.1",
        "ThinLTO, CFI, MODVERSIONS, DWARF 5",
        SelfBuilt(("cfi", "lto", "modversions"), f"{_USUAL}{_DWARF5}", llvm="-16", name="thin-lto-cfi"),
        minutes=10,
    ),
    Row(
        "6.12-trimmed-signed",
        "6.12",
        "TRIM_UNUSED_KSYMS, MODULE_SIG_FORCE, MODULE_COMPRESS and _DECOMPRESS (zstd), IBT, DWARF 5, MODVERSIONS",
        SelfBuilt(
            ("signed",),
            f"{_SIGNED}CONFIG_CPU_MITIGATIONS=y\nCONFIG_X86_KERNEL_IBT=y\n{_USUAL}{_DWARF5}",
            name="trimmed-signed",
        ),
        minutes=8,
    ),
    Row("7.3-riscv64", NEWEST, "for riscv64, MODVERSIONS", SelfBuilt(("modversions",), machine="riscv64"), minutes=9),
    Row("7.3-arm64", NEWEST, "for arm64, MODVERSIONS", SelfBuilt(("modversions",), machine="arm64"), minutes=9),
    Row(
        "7.3-full-lto-fineibt",
        NEWEST,
        "full LTO, CFI, FineIBT, MODVERSIONS, DWARF 5",
        SelfBuilt(
            ("cfi", "modversions"),
            f"CONFIG_LTO_CLANG_FULL=y\nCONFIG_FINEIBT=y\n{_USUAL}{_DWARF5}",
            llvm="-19",
            name="full-lto-fineibt",
        ),
        minutes=20,
    ),
    Row(
        "6.12-randstruct-gcov",
        "6.12",
        "RANDSTRUCT_FULL, KCOV, GCOV, DEBUG_INFO_SPLIT, SMP off, MODVERSIONS",
        SelfBuilt(("kcov", "no-smp", "randstruct"), _GCOV, name="randstruct-gcov"),
        minutes=9,
        names_files=True,
    ),
    Row(
        "7.3-rt",
        NEWEST,
        "PREEMPT_RT, function tracer, IBT, MODVERSIONS off",
        SelfBuilt(("ftrace", "rt"), f"CONFIG_X86_KERNEL_IBT=y\n{_USUAL}", llvm="-19", name="rt-ftrace"),
        minutes=11,
    ),
)
"""In the order of the table."""


def kept_exports() -> str:
    """The contents of `kept_exports.txt` without its comments."""
    lines = _TRIMMED.read_text().splitlines()
    return "".join(f"{line}\n" for line in lines if line and not line.startswith("#"))
