"""The kernels that are asked, and what the loader check knows about them."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from kbuildpy.kbuild.module_facts import ask_module_facts
from kbuildpy.kernel.architecture import architecture_of, is_native
from kbuildpy.kernel.find import installed_trees
from kbuildpy.kernel.image import find_kernel_image
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.loader.from_tree import kernel_from_tree
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.vm import fetch_kernel_image
from tests.parity.packages import newer_kernel, other_compiler
from tests.vm.referee.damage.modinfo import BLOCKED

BLACKLIST = ("first", BLOCKED, "last")
NEWEST = "7.3"
PARAMETERS = (f"module_blacklist={','.join(BLACKLIST)}",)


def kernel_to_ask(line: str) -> tuple[KernelTree, Path]:
    """The tree and the image of a kernel line; the test is skipped where it is not to be had."""
    for tree in installed_trees().trees:
        if is_native(architecture_of(tree)) and "{}.{}".format(*tree.version) == line:
            return tree, fetch_kernel_image(tree.release)
    if line != NEWEST:
        pytest.skip("the headers of this kernel are not installed")
    tree, root = newer_kernel()
    return tree, find_kernel_image(tree.release, root=root)


def loader_kernel(tree: KernelTree, image: Path) -> LoaderKernel:
    """The kernel of `tree` as it is booted with `PARAMETERS`."""
    variables = dict(word.split("=") for word in other_compiler(tree))
    ask = partial(ask_module_facts, variables=variables, environ=os.environ)
    kernel = kernel_from_tree(tree, ask, image=image)
    return replace(kernel, blacklist=BLACKLIST)
