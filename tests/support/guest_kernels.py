# SPDX-License-Identifier: GPL-2.0-only
"""The kernels that are booted: a tree for each line, and the image that belongs to it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.architecture import architecture_of, is_native
from kbuildpy.kernel.cache import cache_directory
from kbuildpy.kernel.find import installed_trees
from kbuildpy.kernel.find_image import find_kernel_image
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from kbuildpy.vm.image import fetch_kernel_image
from kbuildpy.vm.machine import machine_for
from tests.support.arm64 import LINES, arm64_tree
from tests.support.foreign_trees import FOREIGN, foreign_tree
from tests.support.kernel_trees import swept
from tests.support.packages import NEWEST, newer_kernel
from tests.support.riscv64 import RISCV64_LINES, riscv64_tree

EXPEDITED = "rcupdate.rcu_expedited=1"
"""A kernel's parameter: grace periods, which a removal waits for and a refusal that comes late, end at once."""

boots_x86_64 = pytest.mark.skipif(
    os.uname().machine != "x86_64" or shutil.which("qemu-system-x86_64") is None,
    reason="boots x86-64 kernels in QEMU",
)
"""For tests that need such a kernel."""


def one_of(*lines: str) -> list[Any]:
    """Parameters for tests of `lines` where one of them is enough for every run: the first one that is here."""
    found = next((line for line in lines if line in _TREES), lines[0])
    return [found, *swept(*(line for line in lines if line != found))]


_TREES = {"{}.{}".format(*tree.version): tree for tree in installed_trees().trees if is_native(architecture_of(tree))}


def tree_called(line: str) -> KernelTree:
    """The newest tree of a line of kernels for this machine (`6.1`), or of one for arm64, riscv64, or one of `FOREIGN`
    (`s390x`); the test is skipped where there is none."""
    if line in LINES:
        return arm64_tree(line)
    if line in RISCV64_LINES:
        return riscv64_tree(line)
    if line in FOREIGN:
        return foreign_tree(line)[0]
    if line in _TREES:
        return _TREES[line]
    if line != NEWEST:
        pytest.skip("the headers of this kernel are not installed")
    return newer_kernel()[0]


def image_of(tree: KernelTree) -> Path:
    """The image of the kernel that `tree` belongs to: beside it, or out of its package."""
    try:
        return find_kernel_image(tree.release, root=tree.objects.parents[2])
    except KbuildError:
        return fetch_kernel_image(tree.release, machine=machine_for(architecture_of(tree)))


def kernel_to_run(tree: KernelTree) -> Path:
    """What `kbuildpy run -k` takes for the kernel of `tree`: the tree, or the image of one whose packages are only
    unpacked. The modules of such a one are put where those of Debian's packages are looked for."""
    root = tree.objects.parents[2]
    unpacked = root / "usr/lib/modules" / tree.release
    if root == Path("/") or not unpacked.is_dir():
        return tree.objects
    kept = cache_directory() / "modules" / tree.release
    if not (kept / "modules.dep").is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=kept.parent) as scratch:
            place = Path(scratch, "lib/modules", tree.release)
            links = shutil.ignore_patterns("build", "source")
            shutil.copytree(unpacked, place, copy_function=os.link, ignore=links)
            run(["depmod", "-b", scratch, tree.release], env={"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"})
            place.rename(kept)
    return image_of(tree)
