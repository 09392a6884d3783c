# SPDX-License-Identifier: GPL-2.0-only
"""The kernels that are asked, and what the loader check knows about them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.kernels.from_tree import kernel_from_tree
from tests.support.packages import asking
from tests.vm.referee.damage.modinfo import BLOCKED

BLACKLIST = ("first", BLOCKED, "last")
PARAMETERS = (f"module_blacklist={','.join(BLACKLIST)}",)


def loader_kernel(tree: KernelTree, image: Path) -> LoaderKernel:
    """The kernel of `tree` as it is booted with `PARAMETERS`."""
    kernel = kernel_from_tree(tree, asking(tree), image=image)
    return replace(kernel, blacklist=BLACKLIST)
