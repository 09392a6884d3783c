# SPDX-License-Identifier: GPL-2.0-only
"""The sources of the module that watches instrumented ones, for one kernel tree, and the two objects that these are
linked with."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from kbuildpy.coverage.allocators import Wrapped, allocators_header, wrapped_of
from kbuildpy.coverage.instrument import Tools
from kbuildpy.coverage.record import GUEST
from kbuildpy.errors import KbuildError
from kbuildpy.files import replacing
from kbuildpy.kernel.architecture import architecture_of
from kbuildpy.kernel.symvers import read_symvers
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run

_VERSION = re.compile(r"\bgcc\b.*?\) (\d+)\.")
_FIRST = 11
"""The first version of GCC with -fprofile-info-section."""


def check_compiler(compiler: str, release: str) -> None:
    """Refuse a compiler (its version text) that cannot instrument (`KbuildError`)."""
    if "clang" in compiler:
        raise KbuildError(
            f"{release}: --coverage is for kernels whose modules gcc compiles, and this one has {compiler}",
            hint="choose a kernel that was built with gcc (-k)",
        )
    found = _VERSION.search(compiler)
    if found and int(found[1]) < _FIRST:
        raise KbuildError(
            f"{release}: --coverage needs gcc {_FIRST} or later, and this kernel's compiler is {compiler}",
            hint="CC=gcc-12, as a variable of the build, chooses another",
        )


def gcov_of(compiler: str) -> str:
    """The gcov of a compiler's command (CC)."""
    words = shlex.split(compiler) or ["gcc"]
    program = next((word for word in reversed(words) if "gcc" in Path(word).name), "gcc")
    folder, slash, name = program.rpartition("/")
    return f"{folder}{slash}{name.replace('gcc', 'gcov', 1)}"


def wrapped_in(tree: KernelTree) -> Wrapped:
    """The functions of the tree's kernel whose calls are handed over: those that any module may import. Raises
    `KbuildError` for a tree without symvers."""
    columns = read_symvers(tree.symvers, any_license=True).columns
    rows = zip(columns.symbols, columns.owners, columns.namespaces, strict=True)
    return wrapped_of(symbol for symbol, owner, namespace in rows if owner == "vmlinux" and not namespace)


def write_sources(place: Path, wrapped: Wrapped) -> None:
    """Write the directory `place`, with a Kbuild file."""
    place.mkdir(parents=True, exist_ok=True)
    _write(place / "Kbuild", f"obj-m := {GUEST}.o\n".encode())
    _write(place / f"{GUEST}.c", _part(f"{GUEST}.c"))
    _write(place / "allocators.h", allocators_header(wrapped).encode())


def make_tools(
    place: Path,
    tree: KernelTree,
    wrapped: Wrapped,
    *,
    programs: Mapping[str, str],
    environ: Mapping[str, str],
    makes: bool,
) -> Tools:
    """What modules are linked with, made in `place` by the tree's `programs` (unless not `makes`)."""
    objects = []
    for name in ("begin", "end"):
        source, made = place / f"{name}.S", place / f"{name}.o"
        text = _part(f"{name}.S")
        if makes and not (made.is_file() and source.is_file() and source.read_bytes() == text):
            # (an object beside the same source is of that source, also after an interruption)
            made.unlink(missing_ok=True)
            _write(source, text)
            new = place / f"{name}.new.o"
            run([*shlex.split(programs["CC"]), "-c", "-o", new, source], env=environ)
            new.replace(made)
        objects.append(made)
    return Tools(programs["LD"], objects[0], objects[1], tuple(wrapped.names), architecture_of(tree).srcarch)


def _part(name: str) -> bytes:
    return resources.files("kbuildpy.coverage").joinpath("guest").joinpath(name).read_bytes()


def _write(path: Path, contents: bytes) -> None:
    """Write a file, unless it has these contents."""
    if path.is_file() and path.read_bytes() == contents:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as slot:
        slot.write(contents, durable=False)
