"""Every module that a distribution ships is one that its own kernel loads: no stage of the loader check may complain.

What a kernel warns of would be in the verdict's lines, too: the only one that is right is about staging drivers.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from kbuildpy.compression import decompress
from kbuildpy.kernel.cache import cache_directory
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.loader.from_tree import kernel_from_tree
from kbuildpy.loader.load_module import load_module
from kbuildpy.vm.debian import extract
from tests.parity.cross import LINES, arm64_tree
from tests.parity.test_modpost_oracle import TREES
from tests.parity.test_modpost_shipped import in_folder, shipped

pytestmark = pytest.mark.parity

SAMPLE = 300
RIGHT = "module is from the staging directory, the quality is unknown, you have been warned."


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.release)
def test_a_sample_of_shipped_modules_is_accepted(tree: KernelTree) -> None:
    files = list(shipped(tree))
    all_are_accepted(tree, files[:: max(len(files) // SAMPLE, 1)])


@pytest.mark.sweep
@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.release)
def test_every_shipped_module_is_accepted(tree: KernelTree) -> None:
    all_are_accepted(tree, shipped(tree))


@pytest.mark.sweep
@pytest.mark.parametrize("line", LINES)
def test_every_shipped_module_for_arm64_is_accepted(line: str) -> None:
    tree = arm64_tree(line)
    package = cache_directory() / "packages" / f"linux-image-{tree.release}"
    if not package.is_dir():
        extract(f"linux-image-{tree.release}", package, architecture="arm64")
    all_are_accepted(tree, in_folder(next(package.glob(f"**/lib/modules/{tree.release}/kernel"))))


def all_are_accepted(tree: KernelTree, files: Iterable[tuple[str, Path]]) -> None:
    """Check them for the kernel of `tree`, without what its compiler and its image would have to be asked for."""
    kernel = kernel_from_tree(tree)
    count = 0
    wrong = {}
    for name, path in files:
        verdict, _ = load_module(decompress(path.read_bytes()), kernel)
        lines = [line for line in verdict.lines if not line.endswith(RIGHT)]
        if not verdict.accepted or lines:
            wrong[name] = (verdict.stage, verdict.errno, verdict.reason, lines)
        count += 1
    assert count >= SAMPLE
    assert wrong == {}
