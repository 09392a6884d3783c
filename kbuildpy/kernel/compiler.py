# SPDX-License-Identifier: GPL-2.0-only
"""The compiler: the one that the kernel was built with, and the one that its tree asks for.

Kbuild compiles modules with `$(CROSS_COMPILE)gcc` unless told otherwise; Debian's headers packages name their
compiler's version in `.kernelvariables`, which the top Makefile includes. Kbuild only warns when it differs from
the kernel's, so both are worth showing.

The surprise: Kbuild builds for this machine unless `ARCH` and `CROSS_COMPILE` say otherwise, also in a tree that is
configured for another one. A tree tells what it is for, so here the two are taken from it where nobody sets them.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.errors import UsageError
from kbuildpy.kernel.architecture import (
    ARCHITECTURES,
    Architecture,
    architecture_of,
    is_native,
    native_architecture,
    srcarch_of,
)
from kbuildpy.kernel.built import built_variables
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.program_packages import package_of

_CC = re.compile(r"^CC\s*:?=.*?(?:\$\(CROSS_COMPILE\))?([\w.+-]+)\s*$", re.MULTILINE)
_CROSS_COMPILE = re.compile(r"^override CROSS_COMPILE\s*:?=\s*([^\s$]+)\s*$", re.MULTILINE)
_TRIPLET_PROGRAM = re.compile(r"(?P<triplet>\w+-linux-gnu\w*)-(?P<program>[\w.+-]+)")

# What Debian prefixes cross compilers with, as (SRCARCH, bits).
_TRIPLETS = {(item.srcarch, item.bits): item.triplet for item in ARCHITECTURES}


@dataclass(frozen=True)
class Compiler:
    """`built_with` is the kernel's own (`CONFIG_CC_VERSION_TEXT`), `program` the one that the tree will run.

    `installed` tells whether that program is there; `package` is where Debian has it.
    """

    built_with: str
    program: str
    installed: bool
    package: str


def compiler_of(tree: KernelTree, *, cross_compile: str = "", search: str | None = None) -> Compiler:
    """The compiler of `tree`; `cross_compile` is the user's `CROSS_COMPILE`, `search` stands in for `PATH`.

    A tree of another architecture cannot be built with this machine's gcc: without a `CROSS_COMPILE`, its program
    is the cross compiler that Debian has for it.
    """
    variables = _text(tree.objects / ".kernelvariables")
    named = _CC.search(variables)
    override = _CROSS_COMPILE.search(variables)
    prefix = override[1] if override else cross_compile or _prefix_of_foreign(tree)
    program = prefix + (named[1] if named else "gcc")
    llvm = built_variables(tree.objects).get("LLVM", "")
    if llvm:
        program = f"{llvm}clang" if llvm.endswith("/") else f"clang{llvm.removeprefix('1')}"
    return Compiler(
        built_with=tree.config.get("CONFIG_CC_VERSION_TEXT", ""),
        program=program,
        installed=shutil.which(program, path=search) is not None,
        package=package_of_compiler(program),
    )


def cross_variables(tree: KernelTree, variables: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """The `ARCH`, `CROSS_COMPILE` and `LLVM` that make must be given to build for `tree`, where the user gives none;
    `LLVM` for a kernel that `kbuildpy kernel build` built with clang.

    `variables` are those of make's command line, `environ` is the environment; make takes either from both. Empty
    for a tree of this machine's architecture. Raises `UsageError` for an `ARCH` that `tree` is not configured for.
    """
    architecture = architecture_of(tree)
    asked = variables.get("ARCH") or ("" if architecture.fixed else environ.get("ARCH", ""))
    if asked and architecture.srcarch and srcarch_of(asked) != architecture.srcarch:
        raise UsageError(
            f"{tree.objects}: the kernel tree is for {architecture}, not for ARCH={asked}",
            hint="remove ARCH, or name a kernel tree of that architecture",
        )
    wanted: dict[str, str] = {}
    if _needs_another_compiler(architecture):
        wanted = {"ARCH": architecture.arch, "CROSS_COMPILE": _prefix_of_foreign(tree)}
    llvm = built_variables(tree.objects).get("LLVM", "")
    if llvm and not any(name in given for name in ("CC", "LLVM") for given in (variables, environ)):
        wanted = {**wanted, "LLVM": llvm}
        wanted.pop("CROSS_COMPILE", None)
    return {name: text for name, text in wanted.items() if text and name not in variables and name not in environ}


def package_of_compiler(program: str, *, machine: str = "") -> str:
    """The Debian package that has the compiler or linker `program`; package names cannot contain underscores."""
    found = _TRIPLET_PROGRAM.fullmatch(Path(program).name)
    if not found:
        return package_of(program)
    package = package_of(found["program"])
    native = native_architecture(machine)
    if _TRIPLETS.get((native.srcarch, native.bits)) == found["triplet"]:
        return package
    return f"{package}-{found['triplet'].replace('_', '-')}"


def _prefix_of_foreign(tree: KernelTree) -> str:
    architecture = architecture_of(tree)
    triplet = _TRIPLETS.get((architecture.srcarch, architecture.bits))
    return f"{triplet}-" if triplet and _needs_another_compiler(architecture) else ""


def _needs_another_compiler(architecture: Architecture) -> bool:
    # One compiler serves both widths of an architecture (gcc -m32), and Kbuild relies on that.
    return not is_native(architecture) and architecture.srcarch != native_architecture().srcarch


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="surrogateescape")
    except FileNotFoundError:
        return ""
