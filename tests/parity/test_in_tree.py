# SPDX-License-Identifier: GPL-2.0-only
"""In-tree directories of the kernel's sources, built as external modules: hundreds of real modules.

Too slow for every run: `./run test --sweep -k in_tree`.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from kbuildpy.kernel.tree import KernelTree
from tests.support.builds import assert_equal, build_both
from tests.support.kernel_trees import trees
from tests.support.modposts import assert_same_modpost, build, layouts_of, usual_options
from tests.support.packages import kernel_source

pytestmark = [pytest.mark.parity, pytest.mark.sweep]


of_6_1 = pytest.mark.parametrize("tree", [t for t in trees() if t.version == (6, 1)], ids=lambda tree: tree.release)
directories = pytest.mark.parametrize(
    ("copied", "below", "modules"), [("drivers/usb/serial", "", 53), ("net", "netfilter", 167)]
)


@of_6_1
@directories
def test_an_in_tree_directory_is_the_same_bytes_as_makes(
    copied: str, below: str, modules: int, tree: KernelTree, tmp_path: Path
) -> None:
    # (net/netfilter includes headers of its neighbours.)
    source = kernel_source("6.1") / copied
    [(oracle, ours)] = build_both(tree, source, tmp_path / source.name, steps=[(below, ())])
    assert_equal(oracle, ours)
    assert len(ours.names(".ko")) == modules


@of_6_1
@directories
def test_both_modposts_say_the_same_of_in_tree_objects(
    copied: str, below: str, modules: int, tree: KernelTree, tmp_path: Path
) -> None:
    place = tmp_path / Path(copied).name
    shutil.copytree(kernel_source("6.1") / copied, place)
    built = build(tree, place / below, {}, f"-j{os.cpu_count()}", "modules")
    names = sorted(str(path.relative_to(built.directory).with_suffix("")) for path in built.directory.rglob("*.mod"))
    assert len(names) == modules
    outcome = assert_same_modpost(built, names, usual_options(built), layouts_of(tree, tmp_path / "layouts"))
    assert len(outcome.mod_c) == modules and outcome.messages == ""
