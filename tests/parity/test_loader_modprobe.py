"""`modprobe` in a script loads what kmod's modprobe would, in the same order."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from kbuildpy.kernel.find import installed_trees
from kbuildpy.kernel.own_modules import module_contents, module_name, modules_directory, own_modules
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.kernels.from_tree import kernel_from_tree
from kbuildpy.loader.lifecycle.loaded import Loaded, Modules
from kbuildpy.loader.lifecycle.script import run_script
from kbuildpy.loader.verdict import Verdict
from kbuildpy.run import run

pytestmark = [
    pytest.mark.parity,
    pytest.mark.skipif(shutil.which("modprobe") is None, reason="kmod is not installed"),
]

TREES = [tree for tree in installed_trees().trees if modules_directory(tree.release)]


def take(contents: bytes, kernel: LoaderKernel, modules: Modules, args: str, file: str) -> tuple[Verdict, Modules]:
    """A loader that takes everything: the order is all that matters."""
    return Verdict(file, kernel.release, file, True), Modules((Loaded(file), *modules.loaded))


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.release)
def test_loads_modules_in_the_order_of_kmod(tree: KernelTree, tmp_path: Path) -> None:
    directory = modules_directory(tree.release)
    assert directory is not None
    kernel = kernel_from_tree(tree)
    compared = 0
    for name in random.Random(1).sample(sorted(own_modules(directory)), 60):
        (step,) = run_script(f"modprobe {name}", kernel, tmp_path, load=take)
        ours = [module.name for module in reversed(step.modules.loaded)]
        # softdep= is for modprobe alone: the kernel can do without.
        if any(b"\0softdep=" in (module_contents(directory, each) or b"") for each in ours):
            continue
        shown = run(["modprobe", "-S", tree.release, "--show-depends", name]).stdout.decode().splitlines()
        assert ours == [module_name(line.split()[1]) for line in shown if line.startswith("insmod ")]
        compared += len(ours) > 1
    assert compared > 10
