# SPDX-License-Identifier: GPL-2.0-only
"""Our modpost against the kernel tree's own, over the same objects, by turns.

The tree's is a C program: its time is a whole process. Ours runs inside SCons, which is there anyway: its time is the
call, with nothing read yet. Peak memory is that of a process that does nothing but this call.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.kernel.cache import cache_directory
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.kernel.symvers import forget_symvers
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.modpost.layouts import DeviceTableLayouts
from kbuildpy.modpost.options import ModpostOptions
from kbuildpy.modpost.records import ModuleObject, ObjectRecord
from kbuildpy.modpost.stage import modpost, prepare
from kbuildpy.run import run
from tests.bench_rows import BenchReport
from tests.support.modposts import Built, layouts_of, oracle, usual_options
from tests.support.packages import unpacked

RUNS = 7


@dataclass(frozen=True)
class Work:
    """Modules for both modposts; `name` is the line of the report, `limit` the ratio that it should not exceed."""

    name: str
    built: Built
    modules: tuple[ModuleObject, ...]
    limit: float


def modpost_rows(report: BenchReport, tree: KernelTree, directory: Path, listing: Sequence[str]) -> None:
    """Add a row for the modules `listing` that make built in `directory`, for one of them, and for two large
    objects."""
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        place = Path(scratch).resolve()
        layouts = layouts_of(tree, place / "layouts")
        built = Built(tree, directory)
        modules = tuple(built.module(name) for name in listing)
        works = [
            Work(f"modpost: {len(modules)} modules", built, modules, 10),
            Work("modpost: one module", built, modules[:1], 2),
            Work("modpost: amdgpu as shipped", *_amdgpu(tree, place / "amdgpu"), 8),
            Work("modpost: all modules in one", *_joined(built, modules, place / "joined"), 8),
        ]
        for work in works:
            _row(report, work, layouts)


def _row(report: BenchReport, work: Work, layouts: DeviceTableLayouts) -> None:
    prefix = work.built.nominal("")
    names = [module.name.removeprefix(prefix).lstrip("/") for module in work.modules]
    options = usual_options(work.built)
    theirs, ours = [], []
    for _ in range(RUNS):
        began = time.perf_counter()
        oracle(work.built, names, options)
        theirs.append(time.perf_counter() - began)
        ours.append(_from_nothing(work, options, layouts))
    size = sum(module.path.stat().st_size for module in work.modules) / 2**20
    peak = _peak(work, options)
    report.ratio(work.name, theirs, ours, work.limit, f"  {size:.0f} MiB of objects")
    report.memory(f"{work.name}: memory", peak, 1024)


def _from_nothing(work: Work, options: Sequence[str], layouts: DeviceTableLayouts) -> float:
    shutil.rmtree(cache_directory() / "symvers", ignore_errors=True)
    forget_symvers()
    prepare(work.built.tree)
    began = time.perf_counter()
    modpost(
        work.modules,
        ModpostOptions.parse(options),
        tree=work.built.tree,
        cwd=work.built.cwd,
        layouts=lambda: layouts,
    )
    return time.perf_counter() - began


def _peak(work: Work, options: Sequence[str]) -> float:
    """MiB of a process of its own that runs our modpost over `work`."""
    words = [f"{module.name}\t{module.path}" for module in work.modules]
    argv = [sys.executable, "-m", "tests.bench_modpost", str(work.built.tree.objects), str(work.built.cwd), *options]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert process.stdin is not None
    process.stdin.write("\n".join(words).encode())
    process.stdin.close()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"modpost over {work.name} failed")
    return usage.ru_maxrss / 1024


def main(argv: Sequence[str]) -> None:
    """One modpost over the modules on standard input, without their records; what tables say is left out."""
    objects, cwd, *options = argv
    modules = []
    for line in sys.stdin.read().splitlines():
        name, path = line.split("\t")
        modules.append(ModuleObject(name, Path(path), ()))
    tree = open_tree(objects)
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        layouts = layouts_of(tree, Path(scratch).resolve())
    modpost(modules, ModpostOptions.parse(options), tree=tree, cwd=Path(cwd), layouts=lambda: layouts)


def _amdgpu(tree: KernelTree, place: Path) -> tuple[Built, tuple[ModuleObject, ...]]:
    """The largest module that Debian ships, as if it were its own object."""
    release = tree.release
    path = next(unpacked(f"linux-image-{release}").glob(f"lib/modules/{release}/**/amdgpu.ko"))
    return _single(tree, place, "amdgpu", path)


def _joined(built: Built, modules: Sequence[ModuleObject], place: Path) -> tuple[Built, tuple[ModuleObject, ...]]:
    """One object, debug information and all, of all modules: what a large driver's object is like."""
    place.mkdir()
    joined = place / "all.o"
    options = ["-z", "muldefs", "-m", "elf_x86_64"]
    run(["ld", "-r", *options, "-o", joined, *(module.path for module in modules)])
    return _single(built.tree, place, "joined", joined)


def _single(tree: KernelTree, place: Path, name: str, contents: Path) -> tuple[Built, tuple[ModuleObject, ...]]:
    place.mkdir(exist_ok=True)
    contents.replace(place / f"{name}.o") if contents.parent == place else shutil.copy(contents, place / f"{name}.o")
    (place / f"{name}.mod").write_text(f"{place}/{name}.o\n")
    (place / f".{name}.o.cmd").write_text(f"source_{name}.o := /dev/null\n\ndeps_{name}.o := \\\n\n")
    built = Built(tree, place)
    record = ObjectRecord(str(place / f"{name}.o"), place / f".{name}.o.cmd")
    return built, (ModuleObject(built.nominal(name), place / f"{name}.o", (record,)),)


if __name__ == "__main__":
    main(sys.argv[1:])
