# SPDX-License-Identifier: GPL-2.0-only
"""Builds the same sources with make and with kbuildpy, at the same path, and compares every file that counts.

The path must be the same because debug information names it: make builds first, its files are taken away, then
kbuildpy builds in a fresh copy.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kbuildpy.execute import Completed
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from tests.support.packages import other_compiler

COMPARED = ("*.ko", "*.mod.c", "Module.symvers", "modules.order")

# pahole numbers types in the order in which its threads finish; with a time stamp given Kbuild runs one thread
# (scripts/Makefile.btf). Without it not even two runs of make agree; kbuildpy needs none.
REPRODUCIBLE = "KBUILD_BUILD_TIMESTAMP=1970-01-01"

_ERROR = re.compile(r"^.*(?: error: |ERROR: modpost: |FAILED).*$", re.MULTILINE)


@dataclass(frozen=True)
class Build:
    """What one tool made of one module directory: exit status, all it printed, and the files that count."""

    status: int
    output: str
    files: dict[str, bytes] = field(repr=False)

    def names(self, suffix: str = "") -> list[str]:
        """The names of the files, sorted."""
        return sorted(name for name in self.files if name.endswith(suffix))


def make(tree: KernelTree, directory: Path, variables: Sequence[str] = (), *, goal: str = "modules") -> Completed:
    """`make -C KDIR M=DIR`: the oracle, called in the module directory."""
    argv = ["make", "-C", str(tree.objects), f"M={directory}", f"-j{os.cpu_count()}", *variables, goal]
    return run(argv, check=False, timeout=1800, cwd=directory, env={**os.environ, "PWD": str(directory)})


def kbuildpy(
    *words: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None, timeout: float = 1800
) -> Completed:
    """The command line, as a user calls it."""
    merged = None if env is None else {**os.environ, **env}
    return run([sys.executable, "-m", "kbuildpy", *words], check=False, timeout=timeout, cwd=cwd, env=merged)


def build_both(
    tree: KernelTree,
    sources: Path | Callable[[Path], None],
    place: Path,
    *,
    steps: Sequence[tuple[str, Sequence[str]]] = (("", ()),),
) -> list[tuple[Build, Build]]:
    """Build `sources` at `place` with make, then with kbuildpy; for each step what either made.

    `sources` is a directory to copy, or a function that writes them. A step is a directory below `place` and the
    variables for it, in which `@` stands for `place`.
    """

    def lay_out() -> None:
        shutil.rmtree(place, ignore_errors=True)
        if callable(sources):
            place.mkdir(parents=True)
            sources(place)
        else:
            shutil.copytree(sources, place, symlinks=True)

    lay_out()
    always = other_compiler(tree)
    ours = [[*(word.replace("@", str(place)) for word in variables), *always] for _, variables in steps]
    theirs = []
    for (below, _), variables in zip(steps, ours, strict=True):
        done = make(tree, place / below, [*variables, REPRODUCIBLE])
        theirs.append(Build(done.returncode, done.text + done.error_text, collect(place / below)))
    lay_out()
    before = listing(place)
    pairs = []
    for (below, _), variables, oracle in zip(steps, ours, theirs, strict=True):
        done = kbuildpy("build", place / below, "--no-dkms", "-k", str(tree.objects), *variables)
        out = place / below / "build" / tree.release
        pairs.append((oracle, Build(done.returncode, done.text + done.error_text, collect(out))))
    assert listing(place) == before, "the build wrote among the sources"
    return pairs


def assert_equal(oracle: Build, ours: Build) -> None:
    """Both succeeded and made the same files, byte for byte."""
    assert oracle.status == 0, f"make failed, so there is nothing to compare with:\n{oracle.output[-4000:]}"
    assert ours.status == 0, f"make built this, kbuildpy did not:\n{ours.output[-4000:]}"
    assert ours.names() == oracle.names()
    different = [name for name in oracle.names() if ours.files[name] != oracle.files[name]]
    assert not different, f"other bytes than make's: {', '.join(different)}"
    assert oracle.names(".ko"), "make built no module"


def assert_refused_alike(oracle: Build, ours: Build) -> None:
    """Both failed, and whatever the compiler or modpost says under make, it says under kbuildpy."""
    assert oracle.status != 0
    assert ours.status == 1, "make did not build this, kbuildpy did"
    assert errors(oracle.output) <= errors(ours.output)


def errors(output: str) -> set[str]:
    """The messages of the compiler and of modpost; make's own lines about them are not repeated."""
    found = {match.group().strip() for match in _ERROR.finditer(output)}
    return {line for line in found if not line.startswith("make") and "***" not in line}


def complaints(build: Build) -> list[str]:
    """What compilers, checkers and modpost complained about, sorted."""
    found = re.findall(r"^.*(?:warning|error|ERROR|WARNING)(?:: | ).*$", build.output, re.MULTILINE)
    return sorted({line for line in found if not line.startswith(("make", "scons:", "kbuildpy:"))})


def collect(directory: Path) -> dict[str, bytes]:
    """The files that count below `directory`; another kernel's or kbuildpy's own are not among them."""
    found = {}
    for pattern in COMPARED:
        for path in directory.rglob(pattern):
            relative = path.relative_to(directory)
            if "build" not in relative.parts and ".kbuildpy" not in relative.parts:
                found[str(relative)] = path.read_bytes()
    return found


def listing(place: Path) -> list[str]:
    """Every file of the sources with its size and time: what a build must leave as it was."""
    return sorted(
        f"{path.relative_to(place)} {path.lstat().st_size} {path.lstat().st_mtime_ns}"
        for path in place.rglob("*")
        if "build" not in path.relative_to(place).parts and not path.is_dir()
    )
