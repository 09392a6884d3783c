"""Builds the sound modules (modules/) for a kernel."""

from __future__ import annotations

import sys
from pathlib import Path

from kbuildpy.compression import decompress
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from tests.parity.packages import unpacked
from tests.vm.referee.cases import Bases

MODULES = Path(__file__).with_name("modules")


def build_bases(tree: KernelTree, out: Path) -> Bases:
    """Build modules/ for `tree` below `out`; without debugging information, which only makes them long."""
    run([sys.executable, "-m", "kbuildpy", "build", MODULES, "-k", tree.objects, "-o", out, "CHECK=0"])
    found = {}
    for file in (out / tree.release).glob("*.ko"):
        run(["strip", "--strip-debug", file])
        found[file.stem] = file.read_bytes()
    return Bases(tree=tree, shipped=_shipped(tree.release), **found)


def _shipped(release: str) -> bytes | None:
    for root in (Path("/"), None):
        try:
            place = root or unpacked(f"linux-image-{release}")
        except KbuildError:
            return None
        # it has neither init nor exit
        for path in (place / f"lib/modules/{release}/kernel/lib").glob("crc7.ko*"):
            return decompress(path.read_bytes())
    return None
