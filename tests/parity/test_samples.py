# SPDX-License-Identifier: GPL-2.0-only
"""The sample modules: the same bytes as make's, on every installed kernel tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbuildpy.kernel.tree import KernelTree
from tests.support.builds import assert_equal, build_both
from tests.support.kernel_trees import EARLY, newest_tree_first, swept, tree_of_release, trees
from tests.support.samples import SAMPLES

# One of a single source, and one of several with assembly: the paths differ from a build of the whole directory.
ALONE = ["composite", "hello"]

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("release", [*newest_tree_first(), *swept(EARLY)])
def test_all_samples_are_the_same_bytes_as_makes(release: str, tmp_path: Path) -> None:
    tree = tree_of_release(release)
    [(oracle, ours)] = build_both(tree, SAMPLES, tmp_path / "samples")
    assert_equal(oracle, ours)
    assert len(ours.names(".ko")) == len([path for path in SAMPLES.iterdir() if path.is_dir()])


@pytest.mark.parametrize("tree", trees(), ids=lambda tree: tree.release)
@pytest.mark.parametrize("name", ALONE)
def test_a_sample_built_alone_is_the_same_bytes_as_makes(name: str, tree: KernelTree, tmp_path: Path) -> None:
    [(oracle, ours)] = build_both(tree, SAMPLES / name, tmp_path / name)
    assert_equal(oracle, ours)
