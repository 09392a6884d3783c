# SPDX-License-Identifier: GPL-2.0-only
"""Tests that concern 5.10 alone, whose headers only an older Debian has; test_kbuild_language.py builds for it too."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kbuildpy.kernel.completeness import missing_parts
from kbuildpy.kernel.find import installed_trees
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.kernel.tree import KernelTree
from tests.support.builds import assert_equal, build_both
from tests.support.packages import early_tree, kernel_source
from tests.support.samples import SAMPLES

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def tree() -> KernelTree:
    return early_tree()


def test_the_tree_is_found_below_another_root_and_complete(tree: KernelTree) -> None:
    root = next(parent.parent for parent in tree.objects.parents if parent.name == "usr")
    installed = installed_trees(root)
    assert installed.trees == (tree,)
    assert not installed.broken
    assert tree.version == (5, 10)
    assert missing_parts(tree) == ()


def test_a_missing_symvers_file_is_told_in_makes_words(tree: KernelTree, tmp_path: Path) -> None:
    objects = tmp_path / "objects"
    shutil.copytree(tree.objects, objects, symlinks=True, ignore=shutil.ignore_patterns("Module.symvers"))
    for name in ("scripts", "tools"):
        (objects / name).unlink()
        (objects / name).symlink_to((tree.objects / name).resolve())
    [(oracle, ours)] = build_both(open_tree(objects), SAMPLES / "hello", tmp_path / "hello")
    assert_equal(oracle, ours)
    told = [line for line in oracle.output.splitlines() if "WARNING" in line or line.startswith("     ")]
    assert len(told) == 3
    assert [line for line in ours.output.splitlines() if line in told] == told


@pytest.mark.sweep
@pytest.mark.parametrize(("copied", "below", "modules"), [("drivers/usb/serial", "", 52), ("net", "netfilter", 169)])
def test_an_in_tree_directory_is_the_same_bytes_as_makes(
    copied: str, below: str, modules: int, tree: KernelTree, tmp_path: Path
) -> None:
    source = kernel_source("5.10") / copied
    [(oracle, ours)] = build_both(tree, source, tmp_path / source.name, steps=[(below, ())])
    assert_equal(oracle, ours)
    assert len(ours.names(".ko")) == modules
