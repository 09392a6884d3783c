# SPDX-License-Identifier: GPL-2.0-only
"""Kernel trees of configurations that no package has, prepared out of Debian's sources for modules to be built with.

Such a tree has no kernel in it: `modules_prepare` takes ten seconds of a processor's time, a kernel ten minutes. The
Module.symvers that a kernel's build would leave is made up, with the symbols that the modules at hand need.
"""

from __future__ import annotations

import os
import re
import shutil
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.kernel_build.option_sets import base_options
from kbuildpy.run import run
from tests.support.builds import make

_PROGRAMS = ("bc", "bison", "flex", "gcc", "make", "xz")
_UNDEFINED = re.compile(r"modpost: (?:\S+: symbol '([^']+)'|\"([^\"]+)\" \[\S+\]) undefined")


@dataclass(frozen=True)
class Configuration:
    """What a kernel has besides the small kernels' configuration."""

    name: str
    line: str
    """The kernel line, such as 6.12."""
    settings: str
    """Lines of a configuration; `=n` takes one of the small kernels' away."""
    llvm: str = ""
    """The version of clang; "" for gcc."""
    names_files: bool = False
    """The modules name files beside their objects (.dwo, .gcda), which are elsewhere under make."""
    needs: tuple[str, ...] = ()
    """Programs or headers of this machine (absolute paths), without which it cannot be had."""

    @property
    def variables(self) -> tuple[str, ...]:
        """What make and kbuildpy are called with."""
        return (f"LLVM=-{self.llvm}",) if self.llvm else ()


_CLANG = "CONFIG_MODVERSIONS=y\nCONFIG_CPU_MITIGATIONS=y\nCONFIG_UNWINDER_FRAME_POINTER=n\nCONFIG_UNWINDER_ORC=y\n"
_IBT = "CONFIG_X86_KERNEL_IBT=y\nCONFIG_MITIGATION_RETPOLINE=y\n"
_PLUGINS = tuple(map(str, Path("/usr/lib/gcc/x86_64-linux-gnu").glob("*/plugin/include/gcc-plugin.h"))) or (
    "/usr/lib/gcc/x86_64-linux-gnu/12/plugin/include/gcc-plugin.h",
)
CONFIGURATIONS = (
    Configuration(
        "6.1-thin-lto-cfi",
        "6.1",
        f"{_CLANG}CONFIG_LTO_CLANG_THIN=y\nCONFIG_CFI_CLANG=y\nCONFIG_DEBUG_INFO_DWARF5=y\nCONFIG_RETPOLINE=y\n",
        llvm="16",
    ),
    Configuration(
        "6.12-thin-lto-fineibt",
        "6.12",
        f"{_CLANG}{_IBT}CONFIG_LTO_CLANG_THIN=y\nCONFIG_CFI_CLANG=y\nCONFIG_FINEIBT=y\n"
        "CONFIG_FTRACE=y\nCONFIG_FUNCTION_TRACER=y\n",
        llvm="19",
    ),
    Configuration(
        "7.3-full-lto-fineibt",
        "7.3",
        f"{_CLANG}{_IBT}CONFIG_LTO_CLANG_FULL=y\nCONFIG_CFI=y\nCONFIG_FINEIBT=y\nCONFIG_DEBUG_INFO_DWARF5=y\n"
        "CONFIG_BASIC_MODVERSIONS=y\nCONFIG_PROC_SYSCTL=n\n",
        llvm="19",
    ),
    Configuration(
        "6.12-trimmed-signed",
        "6.12",
        "CONFIG_MODVERSIONS=y\nCONFIG_TRIM_UNUSED_KSYMS=y\nCONFIG_MODULE_SIG=y\nCONFIG_MODULE_SIG_FORCE=y\n"
        "CONFIG_MODULE_SIG_ALL=y\nCONFIG_MODULE_SIG_SHA256=y\nCONFIG_MODULE_COMPRESS=y\nCONFIG_MODULE_COMPRESS_ZSTD=y\n"
        "CONFIG_MODULE_DECOMPRESS=y\nCONFIG_DEBUG_INFO_DWARF5=y\n"
        f"CONFIG_CPU_MITIGATIONS=y\n{_IBT}CONFIG_UNWINDER_FRAME_POINTER=n\nCONFIG_UNWINDER_ORC=y\n",
    ),
    Configuration(
        "6.12-randstruct-split",
        "6.12",
        "CONFIG_MODVERSIONS=y\nCONFIG_GCC_PLUGINS=y\nCONFIG_RANDSTRUCT_FULL=y\nCONFIG_KCOV=y\nCONFIG_GCOV_KERNEL=y\n"
        "CONFIG_DEBUG_INFO_DWARF4=y\nCONFIG_DEBUG_INFO_SPLIT=y\nCONFIG_STACKPROTECTOR=y\nCONFIG_SMP=n\nCONFIG_NR_CPUS=n\n",
        names_files=True,
        needs=_PLUGINS[-1:],
    ),
    Configuration(
        "6.12-rt-ftrace",
        "6.12",
        "CONFIG_PREEMPT_RT=y\nCONFIG_FTRACE=y\nCONFIG_FUNCTION_TRACER=y\nCONFIG_DEBUG_INFO_DWARF5=y\n"
        f"CONFIG_CPU_MITIGATIONS=y\n{_IBT}CONFIG_UNWINDER_FRAME_POINTER=n\nCONFIG_UNWINDER_ORC=y\n",
    ),
    Configuration(
        "7.3-gendwarfksyms",
        "7.3",
        "CONFIG_MODVERSIONS=y\nCONFIG_GENDWARFKSYMS=y\nCONFIG_EXTENDED_MODVERSIONS=y\nCONFIG_DEBUG_INFO_DWARF5=y\n"
        "CONFIG_FTRACE=y\nCONFIG_FUNCTION_TRACER=y\nCONFIG_PROC_SYSCTL=n\n",
        needs=("/usr/include/elfutils/libdw.h",),
    ),
)
"""Each covers several settings that change how modules are built, and one line at least has each of these."""


def prepared_tree(configuration: Configuration, source: Path, place: Path) -> KernelTree:
    """The tree of `configuration` at `place`, made from the kernel's unpacked sources. Where something is missing on
    this machine the test is skipped; `KbuildError` for settings that the kernel does not take."""
    if missing := _missing(configuration):
        pytest.skip(f"{configuration.name} cannot be prepared without {' '.join(missing)}")
    place.mkdir(parents=True)
    base = "\n".join(f"CONFIG_{name}={value}" for name, value in base_options("x86").items())
    wanted = _merged(base, configuration.settings)
    (place / "wanted.config").write_text(wanted)
    _make(source, place, configuration, "allnoconfig", f"KCONFIG_ALLCONFIG={place / 'wanted.config'}")
    there = set((place / ".config").read_text().splitlines())
    asked = configuration.settings.splitlines()
    lost = [line for line in asked if not line.endswith("=n") and line not in there]
    if lost:
        raise KbuildError(f"{configuration.name} cannot have all: {', '.join(lost)}")
    _make(source, place, configuration, "modules_prepare", "KCFLAGS=-w")
    return open_tree(place)


def make_up_symvers(tree: KernelTree, directory: Path, variables: Sequence[str]) -> None:
    """Write a Module.symvers for `tree` with every symbol of the kernel that the modules in `directory` need, as make
    says; it names ten in a call. They are built in place."""
    needed: set[str] = set()
    found = {"module_layout"}
    while found - needed:
        needed |= found
        lines = (f"0x{zlib.crc32(name.encode()):08x}\t{name}\tvmlinux\tEXPORT_SYMBOL\t\n" for name in sorted(needed))
        tree.symvers.write_text("".join(lines))
        said = make(tree, directory, [*variables, "KBUILD_MODPOST_WARN=1"])
        found = {one or other for one, other in _UNDEFINED.findall(said.text + said.error_text)}


def _missing(configuration: Configuration) -> list[str]:
    compiler = ("clang", "ld.lld", "llvm-nm") if configuration.llvm else ()
    programs = [*_PROGRAMS, *(f"{program}-{configuration.llvm}" for program in compiler)]
    return [
        *(program for program in programs if shutil.which(program) is None),
        *(path for path in configuration.needs if not Path(path).is_file()),
    ]


def _merged(settings: str, changes: str) -> str:
    names = {line.partition("=")[0] for line in changes.splitlines()}
    kept = [line for line in settings.splitlines() if line.partition("=")[0] not in names]
    return "\n".join([*kept, *(line for line in changes.splitlines() if not line.endswith("=n")), ""])


def _make(source: Path, place: Path, configuration: Configuration, *words: str) -> None:
    argv: list[str | Path] = ["make", "-s", "-C", source, f"O={place}", *configuration.variables, *words]
    run(argv, env={"PATH": os.environ["PATH"]}, timeout=1800)
