# SPDX-License-Identifier: GPL-2.0-only
"""Builds the sound modules (modules/) for a kernel."""

from __future__ import annotations

import sys
from pathlib import Path

from kbuildpy.compression import decompress
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.architecture import architecture_of, is_native, known_architecture
from kbuildpy.kernel.modules_directory import modules_directory
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from tests.support.packages import other_compiler, unpacked_kernel
from tests.vm.referee.cases import Bases

MODULES = Path(__file__).with_name("modules")


def build_bases(tree: KernelTree, out: Path) -> Bases:
    """Build modules/ for `tree` below `out`; without debugging information, which only makes them long."""
    run(
        [
            sys.executable,
            "-m",
            "kbuildpy",
            "build",
            MODULES,
            "-k",
            tree.objects,
            "-o",
            out,
            "CHECK=0",
            *other_compiler(tree),
        ]
    )
    architecture = architecture_of(tree)
    known = known_architecture(architecture.srcarch, architecture.bits)
    strip = f"{known.triplet}-strip" if known and not is_native(architecture) else "strip"
    found = {}
    for file in (out / tree.release).glob("*.ko"):
        run([strip, "--strip-debug", file])
        found[file.stem] = file.read_bytes()
    return Bases(tree=tree, shipped=_shipped(tree), **found)


def _shipped(tree: KernelTree) -> bytes | None:
    for root in (Path("/"), tree.objects.parents[2], None):
        try:
            place = root or unpacked_kernel(tree.release)
        except KbuildError:
            return None
        directory = modules_directory(tree.release, root=place)
        # they have neither init nor exit
        for path in sorted(directory.glob("kernel/lib/**/crc[78].ko*")) if directory else ():
            return decompress(path.read_bytes())
    return None
